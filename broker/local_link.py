"""Local link: the hub's connection to its own broker in one process, without a socket.

Messages come from a tap at the router in batches, and publications go straight to the router. There
is no queue to overflow: a publisher of which more has come than the hub can take waits.
"""

import asyncio
import functools
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from broker.auth.decisions import TopicDecisions
from broker.auth.gate import Gate, Identity
from broker.embedded.packets.model import Publish
from broker.embedded.router import Router
from broker.embedded.session import Publisher
from bus.client.link import OnMessages, RawMessage, WireMessage, wire_message
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.contract import discovery
from bus.contract.messages import Message, encode
from bus.contract.topics import ROOT, Topic, is_bundle, is_command

logger = logging.getLogger(__name__)

# Publications in one round of the event loop.
_SLICE = 100
# Messages that are passed on in one.
_TAKEN = 500
_STOP_S = 2.0
# Least time between two batches. A message after a pause goes at once; those that follow are
# gathered, as the hub's work for each batch costs as much as for ten messages. A full batch does
# not wait.
BATCH_S = 0.2
# Topics for which the gate's decision is remembered: those of all nodes.
MAX_DECISIONS = 65_536
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
        max_decisions: int = MAX_DECISIONS,
    ) -> None:
        """Messages of discovery, on topics that begin with `prefix`, are passed on, too."""
        self._room_for = room_for
        self._discovery_prefix = prefix
        self._roots = (ROOT, prefix)
        self._prefixes = tuple(f"{root}/" for root in self._roots)
        self._router = router
        self._gate = gate
        self._identity = identity
        self._publisher = Publisher("", identity.name)
        # Nodes make many entities and get many bundles, so these count for no user's quota.
        self._unbounded_publisher = Publisher("", "")
        self._loop = asyncio.get_running_loop()
        self._on_messages = on_messages
        self._incoming: list[RawMessage] = []
        self._passed_s = -BATCH_S
        self._timer: asyncio.TimerHandle | None = None
        self._hear_decisions = TopicDecisions(gate, self._is_for_hub, max_topics=max_decisions)
        may_publish = functools.partial(gate.may_publish, identity)
        self._publish_decisions = TopicDecisions(gate, may_publish, max_topics=max_decisions)
        self._lock = threading.Lock()
        self._outgoing: deque[Publish] = deque()
        self._is_empty = threading.Event()
        self._is_empty.set()
        self._handles = 0
        self._connected = False

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def problem(self) -> str:
        return ""

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

    def flush(self) -> None:
        """Pass on what has come. Called on the loop."""
        while self._incoming:
            self._pass_on()

    def room_for(self, topic: str) -> "asyncio.Future[bool] | None":
        """Return what a publisher to `topic` has to wait for; None: nothing."""
        return self._room_for(topic) if topic.startswith(_PREFIX) else None

    def put(self, topic: str, payload: bytes) -> bool:
        """Take a message from the router; those of other people's devices are passed over."""
        if not (topic.startswith(self._prefixes) and self._hear_decisions.allows(topic)):
            return False
        self._incoming.append((topic, payload))
        if len(self._incoming) == 1:
            self._pass_on_at(self._passed_s + BATCH_S)
        elif len(self._incoming) == _TAKEN:
            self._pass_on_at(0.0)
        return True

    def _is_for_hub(self, topic: str) -> bool:
        is_for_hub = topic.startswith(_PREFIX) or discovery.concerns_hub(
            topic, self._discovery_prefix
        )
        return is_for_hub and self._gate.may_receive(self._identity, topic)

    def _pass_on_at(self, due_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._pass_on)

    def _pass_on(self) -> None:
        self._passed_s = self._loop.time()
        batch = self._incoming[:_TAKEN]
        del self._incoming[:_TAKEN]
        if self._incoming:
            self._pass_on_at(0.0)
        if batch:
            self._on_messages(batch)

    def publish(self, topic: Topic, message: Message) -> int | None:
        """Publish a message as its channel says. For any thread."""
        return self.publish_payload(topic, encode(message))

    def publish_many(self, messages: Sequence[tuple[Topic, Message]]) -> int:
        """Publish messages in their order, in one crossing. For any thread."""
        wires = [wire_message(topic, encode(message)) for topic, message in messages]
        return 0 if self._queue(wires) is None else len(messages)

    def publish_payload(self, topic: Topic, payload: bytes) -> int | None:
        """Publish bytes as the topic's channel says. For any thread."""
        return self.publish_wire(wire_message(topic, payload))

    def publish_wire(self, message: WireMessage) -> int | None:
        """Publish on any topic that the gate allows. For any thread."""
        return self._queue([message])

    def _queue(self, messages: Sequence[WireMessage]) -> int | None:
        """Queue messages for the loop; return the handle of the last one."""
        if not self._connected:
            return None
        packets = [Publish(one.topic, one.payload, one.qos, one.retain, 0) for one in messages]
        with self._lock:
            self._handles += len(packets)
            handle = self._handles
            is_first = not self._outgoing
            self._outgoing.extend(packets)
            self._is_empty.clear()
        if is_first:
            # One crossing for all that is published until the loop comes to it.
            self._loop.call_soon_threadsafe(self._publish_queued)
        return handle

    def _publish_queued(self) -> None:
        with self._lock:
            messages = list(itertools.islice(self._outgoing, _SLICE))
        for message in messages:
            self._publish_one(message)
        with self._lock:
            # Only now: whoever stops the link waits for the last one.
            for _ in messages:
                self._outgoing.popleft()
            if not self._outgoing:
                self._is_empty.set()
                return
        self._loop.call_soon(self._publish_queued)

    def _publisher_of(self, message: Publish) -> Publisher:
        is_bounded = message.topic.startswith(_PREFIX)
        if is_bounded and message.retain and is_bundle(message.topic):
            is_bounded = False
        return self._publisher if is_bounded else self._unbounded_publisher

    def _publish_one(self, message: Publish) -> None:
        try:
            if self._publish_decisions.allows(message.topic):
                self._router.publish(message, self._publisher_of(message))
            else:
                self._router.refuse_publish(self._identity.name, message.topic)
        except Exception:
            # The loop and the other messages go on.
            logger.exception("the hub failed to publish on %s", message.topic[:200])
