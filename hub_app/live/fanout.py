"""One fan-out for all browsers: an event is encoded once, a client holds the newest of each topic.

A slow browser costs at most one event a topic and a bounded tail of log lines, however long it
stalls. Everything here runs on the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec

from bus.contract.topics import TopicKind
from bus.errors import UnavailableError
from hub_app.live.state import Change, Snapshot

# 39 KB a stream were measured, and a LAN has no more people than this.
MAX_CLIENTS = 100
# Log lines that a slow browser may be behind; it sees the newest.
LOG_LINES_PER_CLIENT = 200

_ENCODER = msgspec.json.Encoder()


class TooManyClientsError(UnavailableError):
    """As many browsers are connected as the hub serves."""


class Update(msgspec.Struct, frozen=True):
    """What an `update` event carries."""

    now_ms: int
    topic: str
    kind: TopicKind
    node: str
    name: str
    value: object


class Client:
    """What one browser has not been sent yet."""

    def __init__(self) -> None:
        self._pending: dict[str, bytes] = {}
        self._logs: deque[bytes] = deque(maxlen=LOG_LINES_PER_CLIENT)
        self._wake = asyncio.Event()
        self.closed = False

    def offer(self, change: Change, event: bytes) -> None:
        if change.kind is TopicKind.LOG:
            self._logs.append(event)
        else:
            # Taken out first, so that the newest event is also the last to be sent.
            self._pending.pop(change.topic, None)
            self._pending[change.topic] = event
        self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def take(self) -> bytes:
        """Wait until there is something to send and return it all; nothing once closed."""
        await self._wake.wait()
        self._wake.clear()
        if self.closed:
            return b""
        chunk = b"".join((*self._pending.values(), *self._logs))
        self._pending.clear()
        self._logs.clear()
        return chunk


class Fanout:
    """All connected browsers, and the number of the last event."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        self._last_id = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        return len(self._clients) >= MAX_CLIENTS

    def join(self) -> Client:
        """Add a browser. Raises TooManyClientsError; a closed fan-out gives a closed client."""
        if self.is_full:
            raise TooManyClientsError(f"{MAX_CLIENTS} browsers are connected, no more are served")
        client = Client()
        self._clients.add(client)
        if self._closed:
            client.close()
        return client

    def leave(self, client: Client) -> None:
        self._clients.discard(client)

    def send(self, changes: Iterable[Change], now_ms: int) -> None:
        """Offer each change to every browser."""
        for change in changes:
            self._last_id += 1
            if self._clients:
                event = self._encode(change, now_ms)
                for client in self._clients:
                    client.offer(change, event)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        for client in self._clients:
            client.close()

    def snapshot_event(self, snapshot: Snapshot) -> bytes:
        return _event(self._last_id, b"snapshot", _ENCODER.encode(snapshot))

    def _encode(self, change: Change, now_ms: int) -> bytes:
        update = Update(now_ms, change.topic, change.kind, change.node, change.name, change.value)
        return _event(self._last_id, b"update", _ENCODER.encode(update))


def time_event(now_ms: int) -> bytes:
    """Return the event that tells a browser the hub's time, and that the stream still flows."""
    return b'event: time\ndata: {"now_ms":%d}\n\n' % now_ms


def _event(event_id: int, name: bytes, data: bytes) -> bytes:
    # JSON holds no raw line break, so the data is one line.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, name, data)
