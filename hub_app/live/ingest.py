"""From the bus to the hub's state: the one crossing from paho's thread to the event loop."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable

from bus.contract.messages import Message, decode
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadDataError

logger = logging.getLogger(__name__)

# A loop that is this far behind has lost: the oldest go, and are counted.
MAX_WAITING = 20_000
MAX_BAD_TOPICS = 500
_SECONDS_BETWEEN_LOGS = 60.0
_OTHER_TOPICS = "(other)"

# Commands are the actuators' part; what is stored the hub says itself.
_NOT_OF_THE_NODE = frozenset({TopicKind.COMMAND, TopicKind.STORED})

Receive = Callable[[Topic, Message], None]


class Crossing:
    """Messages on their way from paho's thread to the loop, many a wake-up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, receive: Callable[[str, bytes], None]
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self.dropped = 0

    def put(self, topic: str, payload: bytes) -> None:
        """Hand over one message; called on paho's network thread."""
        with self._lock:
            is_first = not self._waiting
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((topic, payload))
        if is_first:
            # The crossing: paho's network thread ends here, the event loop goes on in _deliver.
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, deque()
        for topic, payload in batch:
            self._receive(topic, payload)


class Decoder:
    """Decodes strictly. What does not decode is counted by topic, logged rarely and dropped."""

    def __init__(self, receive: Receive, monotonic_s: Callable[[], float]) -> None:
        self._receive = receive
        self._monotonic_s = monotonic_s
        self._bad: dict[str, int] = {}
        self._logged_s: dict[str, float] = {}

    @property
    def undecodable(self) -> dict[str, int]:
        """How many messages of each topic did not decode."""
        return dict(self._bad)

    def handle(self, text: str, payload: bytes) -> None:
        try:
            topic = parse(text)
            if topic.kind in _NOT_OF_THE_NODE:
                return
            message = decode(topic, payload)
        except BadDataError as e:
            self._count(text, e)
            return
        self._receive(topic, message)

    def _count(self, text: str, error: BadDataError) -> None:
        key = text if text in self._bad or len(self._bad) < MAX_BAD_TOPICS else _OTHER_TOPICS
        self._bad[key] = self._bad.get(key, 0) + 1
        now_s = self._monotonic_s()
        if now_s - self._logged_s.get(key, -_SECONDS_BETWEEN_LOGS) >= _SECONDS_BETWEEN_LOGS:
            self._logged_s[key] = now_s
            logger.warning("dropped a message, %d so far: %s", self._bad[key], error)
