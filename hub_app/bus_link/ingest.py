"""Ingest of MQTT messages: a bounded queue, and the one strict decoding of each message.

Live state, alarms, logs and history share what is decoded here.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from broker.fair_limit import FairLimit
from bus.contract.messages import Backlog, Message, decode
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadDataError
from bus.limited_log import LimitedLog
from hub_app.history import batch
from hub_app.history.inbox import Payload, node_of
from hub_app.quota.rate import RateQuota
from hub_app.quota.refusals import Reason, Refusals

logger = logging.getLogger(__name__)

# An event loop that is this far behind will not catch up: the oldest are dropped and counted.
MAX_QUEUED = 20_000
# Retained messages of a node, which come all at once at the start.
RETAINED_OF_NODE = 40
# Above it, nodes with more than their share wait where the link can make them.
FULL = 2_000
# The least share of a node: a cycle of readings. See `hub_app.history.inbox`.
SHARE = 4
# Messages in one round of the event loop.
_SLICE = 100
# Between two looks at whether they are taken.
_PAUSE_S = 0.01
MAX_BAD_TOPICS = 500
# Of one node, whatever it publishes: each line is one of the journal on the disk.
LOG_LINES_PER_MINUTE = 20
_OTHER_TOPICS = "(other)"
# Topics that are remembered as parsed, for each node: 16 MB for 2,000 nodes.
_PARSED_OF_NODE = 32
_NODES = 2_000

# Commands are for the actuators; `stored` messages and bundles come from the hub itself.
_IGNORED_KINDS = frozenset({TopicKind.COMMAND, TopicKind.STORED, TopicKind.BUNDLE})

# The history decodes backlogs: the live state only notes that the node is there.
_OPAQUE_BACKLOG = Backlog([])

# Returns whether there is a place for the message: without one, it is not stored either.
OnMessage = Callable[[Topic, Message], bool]
OnRemoved = Callable[[Topic], None]
OnPayload = Callable[[Topic, bytes], None]
# Takes what the history stores.
Record = Callable[[Sequence[Payload]], None]


def _ignore_removed(_topic: Topic) -> None:
    return


def _ignore_payload(_topic: Topic, _payload: bytes) -> None:
    return


def _ignore_payloads(_payloads: Sequence[Payload]) -> None:
    return


class LoopQueue:
    """Queue of (topic, payload) on the event loop.

    `on_room` is called when nodes need not wait any more. The nodes' shares are counted only from
    when it is full until they need not wait: that costs more than the rest of queueing.
    """

    @classmethod
    def for_nodes(cls, nodes: int) -> Self:
        """Return a queue with room for the shares and the retained messages of so many nodes."""
        return cls(max(MAX_QUEUED, RETAINED_OF_NODE * nodes), max(FULL, SHARE * nodes))

    def __init__(self, most: int = MAX_QUEUED, full: int = FULL) -> None:
        self.dropped = 0
        # Messages that are not in the queue any more.
        self.taken = 0
        self._most = most
        self.on_room: Callable[[], None] = lambda: None
        self._queue: deque[tuple[str, bytes]] = deque()
        self._full = full
        self._shares: FairLimit | None = None
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def has_room(self) -> bool:
        """Whether nodes that wait may go on."""
        return len(self._queue) <= self._full // 2

    @property
    def is_counting(self) -> bool:
        """Whether nodes may have to wait."""
        return self._shares is not None

    def is_above_share(self, node: str) -> bool:
        """Whether the queue is full and `node` has more than its share in it."""
        return self._shares is not None and self._shares.is_above_share(node)

    def put(self, topic: str, payload: bytes) -> None:
        """Add a message; never waits."""
        self.put_many([(topic, payload)])

    def put_many(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Add messages; never waits."""
        self._queue.extend(messages)
        if self._shares is not None:
            self._count(messages)
        elif len(self._queue) >= self._full:
            self._shares = FairLimit(self._full)
            self._count(self._queue)
        too_many = len(self._queue) - self._most
        if too_many > 0:
            self._take(too_many)
            self.dropped += too_many
        self._ready.set()

    async def take(self) -> list[tuple[str, bytes]]:
        """Wait for a message; return those that are queued, oldest first and not too many."""
        await self._ready.wait()
        taken = self._take(min(_SLICE, len(self._queue)))
        if not self._queue:
            self._ready.clear()
        if self._shares is not None and self.has_room:
            self._shares = None
            self.on_room()
        return taken

    async def wait_until_taken(self) -> None:
        """Wait until all that is queued now is taken."""
        last = self.taken + len(self._queue)
        while self.taken < last:  # noqa: ASYNC110 - an event would cost each message
            await asyncio.sleep(_PAUSE_S)

    def _count(self, messages: Iterable[tuple[str, bytes]]) -> None:
        if self._shares is not None:
            for topic, _ in messages:
                self._shares.add(node_of(topic), 1)

    def _take(self, count: int) -> list[tuple[str, bytes]]:
        taken = [self._queue.popleft() for _ in range(count)]
        self.taken += count
        if self._shares is not None:
            for topic, _ in taken:
                self._shares.remove(node_of(topic), 1)
        return taken


class Decoder:
    """Decodes strictly. Bad messages are counted by topic, logged once a minute and dropped.

    `LOG_LINES_PER_MINUTE` bounds the lines of a node that has many bad topics. `on_payload` takes
    the payload of each message that is good, and an empty one for each topic that is removed.
    `record` takes what the history stores, at each `flush`: good messages as they were decoded
    here, and bad readings, for which their nodes wait.
    """

    def __init__(  # noqa: PLR0913 - what takes the parts of a message
        self,
        on_message: OnMessage,
        monotonic_s: Callable[[], float],
        *,
        on_removed: OnRemoved = _ignore_removed,
        refusals: Refusals | None = None,
        record: Record = _ignore_payloads,
        nodes: int = _NODES,
    ) -> None:
        self._on_message = on_message
        self._record = record
        self._to_record: list[Payload] = []
        self._topics: dict[str, Topic] = {}
        self._max_topics = _PARSED_OF_NODE * max(nodes, _NODES)
        self._on_removed = on_removed
        self._refusals = refusals or Refusals()
        self._monotonic_s = monotonic_s
        self._log = LimitedLog(logger, monotonic_s=monotonic_s)
        self._lines = RateQuota(LOG_LINES_PER_MINUTE)
        self._bad: dict[str, int] = {}
        self.on_payload: OnPayload = _ignore_payload

    @property
    def undecodable(self) -> dict[str, int]:
        """Return the number of bad messages of each topic."""
        return dict(self._bad)

    def forget(self, node: str) -> None:
        """Forget the counts of a node that is gone; their places are free again."""
        for text in [text for text in self._bad if node_of(text) == node]:
            del self._bad[text]

    def handle(self, text: str, payload: bytes) -> None:
        topic = self._topics.get(text) or self._parse(text)
        if topic is None:
            return
        if topic.kind in _IGNORED_KINDS:
            return
        if not payload and topic.channel.retain:
            # This is how MQTT removes a retained message.
            self._on_removed(topic)
            self.on_payload(topic, payload)
            return
        try:
            message = _decode(topic, payload)
        except BadDataError as e:
            self._count(text, e)
            if topic.kind in batch.STORED_KINDS:
                # The history counts these, one by one in a backlog.
                self._to_record.append((text, payload, None))
            else:
                self._refusals.count(topic.node, Reason.MALFORMED, str(e))
            return
        has_place = True
        try:
            has_place = self._on_message(topic, message)
        finally:
            # Also where the live state fails at it.
            if has_place and topic.kind in batch.KINDS:
                self._to_record.append((text, payload, message))
        self.on_payload(topic, payload)

    def flush(self) -> None:
        """Hand over what the history stores of the messages since the last call."""
        if self._to_record:
            payloads, self._to_record = self._to_record, []
            self._record(payloads)

    def _parse(self, text: str) -> Topic | None:
        try:
            topic = parse(text)
        except BadDataError as e:
            self._count(text, e)
            return None
        if len(self._topics) >= self._max_topics:
            self._topics.clear()
        self._topics[text] = topic
        return topic

    def _count(self, text: str, error: BadDataError) -> None:
        key = text if text in self._bad or len(self._bad) < MAX_BAD_TOPICS else _OTHER_TOPICS
        self._bad[key] = self._bad.get(key, 0) + 1
        if self._lines.admits(node_of(text), round(self._monotonic_s() * 1000)):
            self._log.warning(key, "dropped a message, %d so far: %s", self._bad[key], error)


def _decode(topic: Topic, payload: bytes) -> Message:
    return _OPAQUE_BACKLOG if topic.kind is TopicKind.BACKLOG else decode(topic, payload)


async def ingest(
    queue: LoopQueue, handle: Callable[[str, bytes], None], flush: Callable[[], None]
) -> None:
    """Pass each (topic, payload) of the queue to `handle`, until cancelled; some, then `flush`."""
    log = LimitedLog(logger)
    while True:
        for topic, payload in await queue.take():
            try:
                handle(topic, payload)
            except Exception:
                # Nothing that comes over the bus may end this task.
                log.exception(topic[:200], "the hub failed at a message on %s", topic[:200])
        flush()
        if queue:
            # A long queue keeps nothing else on the loop waiting.
            await asyncio.sleep(0)
