"""Link of a program to the bus: one interface for an embedded broker and for one elsewhere.

`bus.client.client.BusClient` is the link to any MQTT broker; the embedded broker has one of its own
without a socket.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bus.contract.messages import Message
from bus.contract.topics import Topic

# Topic and payload of a message.
RawMessage = tuple[str, bytes]
# Takes messages in their order, on the event loop.
OnMessages = Callable[[Sequence[RawMessage]], None]

# The time for which the first message of a batch waits for others.
_BATCH_S = 0.005


class WireMessage(msgspec.Struct, frozen=True):
    """A message on any topic, of this system or of another, with its QoS and retain flag."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


def wire_message(topic: Topic, payload: bytes) -> WireMessage:
    """Return a message as the topic's channel says."""
    return WireMessage(str(topic), payload, topic.channel.qos, topic.channel.retain)


class BusLink(Protocol):
    """A connection to the bus. `publish` may be called on any thread."""

    @property
    def connected(self) -> bool:
        """Whether messages are passed on now."""

    @property
    def problem(self) -> str:
        """The reason for which messages do not arrive, empty while they do."""

    def start(self) -> None:
        """Connect in the background and stay connected. Returns at once."""

    def stop(self) -> None:
        """Send what was published, then disconnect; it may wait. Twice is fine."""

    def publish(self, topic: Topic, message: Message) -> int | None:
        """Publish a message as its channel says; None where the bus did not take it."""

    def publish_many(self, messages: Sequence[tuple[Topic, Message]]) -> int:
        """Publish answers to nodes in their order; return how many of them the bus took.

        One that is lost is asked for again.
        """

    def publish_payload(self, topic: Topic, payload: bytes) -> int | None:
        """Publish bytes as the topic's channel says; None where the bus did not take them."""

    def publish_wire(self, message: WireMessage) -> int | None:
        """Publish on any topic; None where the bus did not take it."""


class MessageBatches:
    """Batches of messages, from any thread to the event loop `loop`.

    One crossing serves all messages of a batch.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_messages: OnMessages) -> None:
        self._loop = loop
        self._on_messages = on_messages
        self._lock = threading.Lock()
        self._batch: list[RawMessage] = []

    def put(self, topic: str, payload: bytes) -> None:
        """Add a message; never waits."""
        with self._lock:
            self._batch.append((topic, payload))
            is_first = len(self._batch) == 1
        if is_first and not self._loop.is_closed():
            # The one place where the bus client's thread meets the event loop.
            self._loop.call_soon_threadsafe(self._loop.call_later, _BATCH_S, self.flush)

    def flush(self) -> None:
        """Pass on what has come. Called on the loop."""
        with self._lock:
            batch, self._batch = self._batch, []
        if batch:
            self._on_messages(batch)
