"""Peer: what the forwarder does when Home Assistant's broker connects, speaks and goes.

The client's threads call it. It never waits: the forwarder's own thread sends.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from bus.client.connection import OnMessage
from bus.contract import discovery
from bus.contract.topics import Topic, TopicKind, topic_filter
from hub_app.homeassistant.forward.commands import ForeignCommands
from hub_app.homeassistant.forward.loop_guard import OFFLINE, LoopGuard
from hub_app.homeassistant.forward.outgoing import Outgoing
from hub_app.homeassistant.forward.rounds import ForwarderTimes
from hub_app.homeassistant.forward.status import ConnectionRecord

logger = logging.getLogger(__name__)

# Publishes on the hub's own bus; None where that is away.
PublishHere = Callable[[Topic, bytes], int | None]


class Peer:
    """Callbacks of the client at Home Assistant's broker, and what they found out.

    `publish_here` publishes on the hub's own bus. `wake` is set where the forwarder's thread has
    something to do.
    """

    def __init__(  # noqa: PLR0913 - two brokers meet here
        self,
        hub_node: str,
        run: str,
        *,
        prefix: str,
        outgoing: Outgoing,
        publish_here: PublishHere,
        times: ForwarderTimes,
    ) -> None:
        self._hub_node = hub_node
        self._outgoing = outgoing
        self._publish_here = publish_here
        self._times = times
        self.guard = LoopGuard(hub_node, run)
        self.commands = ForeignCommands(run)
        self.record = ConnectionRecord()
        self.wake = threading.Event()
        self._prefix = prefix
        self._birth_topic = discovery.birth_topic(prefix)
        # Take births and what the broker has of discovery, and a new connection.
        self.on_discovery: OnMessage = lambda _topic, _payload: None
        self.on_connected: Callable[[], None] = lambda: None
        # The reason for which the two brokers must not be joined; empty while there is none.
        self.loop = ""
        # When everything is to be sent again, for a Home Assistant that has just started.
        self.again_at_s: float | None = None
        # Whether a probe came back on this connection, as it must.
        self.is_confirmed = False
        # Whether the forwarder says goodbye.
        self.is_ending = False

    @property
    def filters(self) -> tuple[str, ...]:
        """The topic filters of everything that is of interest there."""
        own = (self.guard.topic, self.guard.run_topic)
        return (topic_filter(TopicKind.COMMAND), *discovery.filters(self._prefix), *own)

    def probe(self) -> None:
        """Publish here and there what must arrive on the same side only."""
        self._publish_here(self.guard.probe_here, b"")
        for message in self.guard.probes_there:
            if self._outgoing.put_message(message):
                self.wake.set()

    def on_connect(self) -> None:
        self.record.connected()
        self.is_confirmed = False
        self._outgoing.connected(self.guard.online)
        self.probe()
        self.on_connected()
        self.wake.set()

    def on_disconnect(self, reason: str) -> None:
        if self.record.since_ms and not self.loop:
            self.record.failed(f"lost the connection: {reason}")
        self.record.disconnected()
        self._outgoing.disconnected()
        self.wake.set()

    def on_acknowledged(self, _packet_id: int) -> None:
        self.wake.set()

    def on_message(self, topic: str, payload: bytes) -> None:
        if self.guard.is_probe_here(topic):
            self.stop_for_loop("the hub's commands arrive there")
        elif self.guard.is_probe_there(topic, payload):
            # As it must: the broker passes on what the forwarder publishes.
            self.is_confirmed = True
        elif topic == self.guard.run_topic:
            self._on_other_forwarder()
        elif topic == self.guard.topic:
            self._on_state(payload)
        elif topic == self._birth_topic:
            self._on_birth(topic, payload)
        elif topic.startswith(f"{self._prefix}/"):
            # Other products publish discovery there, too.
            if discovery.parse(topic, self._prefix) is not None:
                self.on_discovery(topic, payload)
        else:
            self._on_command(topic, payload)

    def stop_for_loop(self, why: str) -> None:
        """Have the connection ended: what is sent would be sent for ever."""
        if self.loop:
            return
        self.loop = (
            f"{why}: it is the hub's own broker, or a bridge joins the two; expected a broker that "
            "nothing but the forwarder connects with the hub's"
        )
        if self.record.failed(self.loop):
            logger.error("homeassistant.broker: %s", self.loop)
        self.wake.set()

    def _on_birth(self, topic: str, payload: bytes) -> None:
        if payload == discovery.BIRTH and self.again_at_s is None:
            self.again_at_s = time.monotonic() + random.uniform(*self._times.birth_s)
        self.on_discovery(topic, payload)

    def _on_other_forwarder(self) -> None:
        text = f"another hub called {self._hub_node} forwards to this broker"
        if self.record.failed(text):
            logger.error("homeassistant.broker: %s", text)

    def _on_state(self, payload: bytes) -> None:
        """Correct the forwarder's own state.

        It may be the will of an earlier connection, which the broker only now found dead.
        """
        if payload == OFFLINE and self.is_confirmed and not self.is_ending:
            self._outgoing.send_again(self.guard.online)
            self.wake.set()

    def _on_command(self, topic: str, payload: bytes) -> None:
        echoes = self.commands.echoes
        command = self.commands.accept(topic, payload, time.monotonic())
        if self.commands.echoes > echoes:
            self.stop_for_loop("a command that came from there arrives there again")
        elif command is not None and self._publish_here(command.topic, command.payload) is None:
            logger.warning("no bus for a command of Home Assistant on %s", topic)
