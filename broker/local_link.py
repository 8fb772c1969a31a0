"""Local link: the hub's connection to its own broker in one process, without a socket.

Messages come from a tap at the router in batches, and publications go straight to the router. There
is no queue to overflow: a publisher of which more has come than the hub can take waits.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable

from broker.auth.gate import Gate, Identity
from broker.embedded.packets.decode import Publish
from broker.embedded.router import Publisher, Router
from bus.client.link import MessageBatches, OnMessages, WireMessage, wire_message
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.contract.messages import Message, encode
from bus.contract.topics import ROOT, Topic, is_command

logger = logging.getLogger(__name__)

# Publications in one round of the event loop.
_SLICE = 100
_STOP_S = 2.0
_PREFIX = f"{ROOT}/"

# Returns what a publisher to a topic has to wait for, or None.
RoomFor = Callable[[str], "asyncio.Future[bool] | None"]


class LocalLink:
    """Link of `identity`, in the event loop in which it is made. It is a `Tap` and a `BusLink`."""

    def __init__(  # noqa: PLR0913 - the broker's parts that a link works with
        self,
        router: Router,
        gate: Gate,
        identity: Identity,
        *,
        on_messages: OnMessages,
        room_for: RoomFor,
        prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Messages on Home Assistant's topics, which begin with `prefix`, are passed on, too."""
        self.room_for = room_for
        self._roots = (ROOT, prefix)
        self._prefixes = tuple(f"{root}/" for root in self._roots)
        self._router = router
        self._gate = gate
        self._identity = identity
        self._publisher = Publisher("", identity.name)
        # Nodes make many entities, so these count for no user's quota.
        self._discovery_publisher = Publisher("", "")
        self._loop = asyncio.get_running_loop()
        self._incoming = MessageBatches(self._loop, on_messages)
        self._lock = threading.Lock()
        self._outgoing: deque[Publish] = deque()
        self._is_empty = threading.Event()
        self._is_empty.set()
        self._handles = 0
        self._connected = False

    @property
    def connected(self) -> bool:
        return self._connected

    def start(self) -> None:
        """Begin with the retained messages. Called on the loop."""
        if self._connected:
            return
        self._connected = True
        self._router.add_tap(self)
        for root in self._roots:
            for kept in self._router.retained.match(f"{root}/#"):
                if not is_command(kept.topic):
                    self.put(kept.topic, kept.payload)

    def stop(self) -> None:
        """Publish what is queued, then end. Called on any other thread than the loop's."""
        if not self._connected:
            return
        self._connected = False
        self._is_empty.wait(_STOP_S)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._router.remove_tap, self)

    def put(self, topic: str, payload: bytes) -> None:
        """Take a message from the router."""
        if topic.startswith(self._prefixes) and self._gate.may_receive(self._identity, topic):
            self._incoming.put(topic, payload)

    def publish(self, topic: Topic, message: Message) -> int | None:
        """Publish a message as its channel says. For any thread."""
        return self.publish_payload(topic, encode(message))

    def publish_payload(self, topic: Topic, payload: bytes) -> int | None:
        """Publish bytes as the topic's channel says. For any thread."""
        return self.publish_wire(wire_message(topic, payload))

    def publish_wire(self, message: WireMessage) -> int | None:
        """Publish on any topic that the gate allows. For any thread."""
        if not self._connected:
            return None
        packet = Publish(message.topic, message.payload, message.qos, message.retain, 0)
        with self._lock:
            self._handles += 1
            handle = self._handles
            self._outgoing.append(packet)
            is_first = len(self._outgoing) == 1
            self._is_empty.clear()
        if is_first:
            # One crossing for all that is published until the loop comes to it.
            self._loop.call_soon_threadsafe(self._publish_queued)
        return handle

    def _publish_queued(self) -> None:
        for _ in range(_SLICE):
            with self._lock:
                message = self._outgoing[0]
            self._publish_one(message)
            with self._lock:
                self._outgoing.popleft()
                if not self._outgoing:
                    self._is_empty.set()
                    return
        self._loop.call_soon(self._publish_queued)

    def _publish_one(self, message: Publish) -> None:
        try:
            if self._gate.may_publish(self._identity, message.topic):
                is_own = message.topic.startswith(_PREFIX)
                self._router.publish(
                    message, self._publisher if is_own else self._discovery_publisher
                )
            else:
                self._router.refuse_publish(self._identity.name, message.topic)
        except Exception:
            # The loop and the other messages go on.
            logger.exception("the hub failed to publish on %s", message.topic[:200])
