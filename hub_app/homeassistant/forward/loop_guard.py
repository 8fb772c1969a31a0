"""Loop guard: finds out that the other broker is the hub's own, or that a bridge joins the two.

Two probes carry the random word of one start, one each way: a message that is published there must
never be heard here, and a command to a node that does not exist, published here, never there.
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
        self.probe_there = WireMessage(self.run_topic, self._run)
        self.probe_here = Topic(f"probe-{run}", TopicKind.COMMAND, "forwarder")

    def is_own(self, topic: str) -> bool:
        """Whether a topic of the hub's bus belongs there."""
        return topic in (self.topic, self.run_topic)

    def is_probe_there(self, topic: str, payload: bytes) -> bool:
        """Whether a message is the probe that was published there."""
        return topic == self.run_topic and payload == self._run

    def is_probe_here(self, topic: str) -> bool:
        """Whether a message is the probe that was published here."""
        return topic == str(self.probe_here)
