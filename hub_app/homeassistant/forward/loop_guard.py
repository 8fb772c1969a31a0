"""Loop guard: finds out that the other broker is the hub's own, or that a bridge joins the two.

Probes carry the random word of one start. What is published there must never be heard here, and the
other way round. Two of them are commands to nodes that do not exist: a bridge may carry commands
alone, and each would be executed twice then.
"""

from bus.client.link import WireMessage
from bus.contract.topics import ROOT, Topic, TopicKind

ONLINE, OFFLINE = b"online", b"offline"


def state_topic(hub_node: str) -> str:
    """Return the topic there of the forwarder's state, which every entity has as availability."""
    return f"{ROOT}/{hub_node}/forwarder"


class LoopGuard:
    """Topics and probes of one start of the forwarder; `run` is its random word."""

    def __init__(self, hub_node: str, run: str) -> None:
        self.topic = state_topic(hub_node)
        self.run_topic = f"{self.topic}/run"
        self._run = run.encode()
        self.online = WireMessage(self.topic, ONLINE, retain=True)
        self.offline = WireMessage(self.topic, OFFLINE, retain=True)
        self.probe_here = _command(f"probe-{run}-here")
        self._command_there = str(_command(f"probe-{run}-there"))
        self.probes_there = (
            WireMessage(self.run_topic, self._run),
            WireMessage(self._command_there, b""),
        )

    def belongs_there(self, topic: str) -> bool:
        """Whether a topic is of the forwarder's own messages there."""
        return topic in (self.topic, self.run_topic, self._command_there)

    def is_probe_there(self, topic: str, payload: bytes) -> bool:
        """Whether a message is a probe that was published there."""
        return topic == self._command_there or (topic == self.run_topic and payload == self._run)

    def is_probe_here(self, topic: str) -> bool:
        """Whether a message is the probe that was published here."""
        return topic == str(self.probe_here)


def _command(node: str) -> Topic:
    return Topic(node, TopicKind.COMMAND, "forwarder")
