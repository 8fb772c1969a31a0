"""Fan-out of changes to all browsers (SSE).

An event is encoded once for all that show it. A slow browser holds at most the newest event of each
topic and a bounded number of log lines and events of sensors, however long it stalls. Events that
follow each other closely are sent together. All of it runs on the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from bus.contract.topics import TopicKind
from bus.errors import UnavailableError
from hub_app.live.change import Change
from hub_app.live.event_filter import EventFilter, everything
from hub_app.live.state import Snapshot

# A stream costs 39 KB (measured); a LAN hardly has more viewers than this.
MAX_CLIENTS = 100
# Log lines and events of sensors queued for a slow browser; older ones are dropped.
LINES_PER_CLIENT = 200
# Least time between two writes to a browser, for each event of the last one: a write costs the hub
# and the browser more than an event does. Of a few nodes nobody sees the delay; a fleet changes all
# the time, and gets two writes a second.
GATHER_S = 0.02
GATHER_MOST_S = 0.5
# Batches that wait for a browser before they are merged.
_MOST_BATCHES = 16
# Kinds whose every message is sent; of the others, the newest.
_EVERY_ONE = frozenset({TopicKind.LOG, TopicKind.EVENT})

# Entries of a snapshot that are encoded in one step of the event loop.
_PART = 500

_ENCODER = msgspec.json.Encoder()


class TooManyClientsError(UnavailableError):
    """The maximum number of browsers is connected already."""


class Update(msgspec.Struct, frozen=True):
    """The data of an `update` event."""

    now_ms: int
    topic: str
    kind: TopicKind
    node: str
    name: str
    value: object


class _Batch:
    """Events that follow each other: the newest of each topic, and all lines up to a bound."""

    def __init__(self) -> None:
        self.events: dict[str, bytes] = {}
        self.lines: deque[bytes] = deque(maxlen=LINES_PER_CLIENT)
        self._chunk: bytes | None = None

    def __len__(self) -> int:
        return len(self.events) + len(self.lines)

    def add(self, change: Change, event: bytes) -> None:
        if change.kind in _EVERY_ONE:
            self.lines.append(event)
        else:
            self.put(change.topic, event)

    def put(self, topic: str, event: bytes) -> None:
        # Removed first, so that the newest event is sent last: a dict keeps insertion order.
        self.events.pop(topic, None)
        self.events[topic] = event

    def chunk(self) -> bytes:
        """Return all events, joined once for all browsers; nothing is added any more."""
        if self._chunk is None:
            self._chunk = b"".join((*self.events.values(), *self.lines))
        return self._chunk

    @classmethod
    def merged(cls, batches: "Iterable[_Batch]") -> "_Batch":
        """Return one batch in place of several."""
        found = cls()
        for batch in batches:
            for topic, event in batch.events.items():
                found.put(topic, event)
            found.lines.extend(batch.lines)
        return found


class _View:
    """The browsers that show the same changes. An event is queued once for all of them.

    What has come is released to all at one time, so that the loop wakes once for them.
    """

    def __init__(self, shows: EventFilter) -> None:
        self.shows = shows
        self.clients: set[Client] = set()
        # Clients that wait for events.
        self.waiting = 0
        self.gather_s = GATHER_S
        self._released_s = -GATHER_MOST_S
        self._timer: asyncio.TimerHandle | None = None
        self._open = _Batch()

    def add(self, change: Change, event: bytes) -> None:
        self._open.add(change, event)
        if self.waiting and self._timer is None:
            self._release_at(self._released_s + self.gather_s)

    def on_wait(self, *, has_batches: bool) -> None:
        """Release what has come, now or when the last release is long enough ago."""
        if self._timer is not None or not (has_batches or self._open):
            return
        due_s = self._released_s + self.gather_s
        if due_s <= asyncio.get_running_loop().time():
            self._release()
        else:
            self._release_at(due_s)

    def seal(self) -> None:
        """Hand what has come to all browsers, and begin a new batch."""
        if self._open:
            for client in self.clients:
                client.put(self._open)
            self._open = _Batch()

    def _release_at(self, due_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(due_s, self._release)

    def _release(self) -> None:
        self._timer = None
        self._released_s = asyncio.get_running_loop().time()
        self.gather_s = min(GATHER_MOST_S, GATHER_S * len(self._open))
        self.seal()
        for client in self.clients:
            client.wake()


class Client:
    """Queue of the events that one browser has not been sent yet, of those that its view shows."""

    def __init__(self, view: _View) -> None:
        self.view = view
        self._batches: list[_Batch] = []
        self._wake = asyncio.Event()
        self.closed = False

    @property
    def shows(self) -> EventFilter:
        return self.view.shows

    def wake(self) -> None:
        if self._batches:
            self._wake.set()

    def put(self, batch: _Batch) -> None:
        """Queue a batch; those of a slow browser are merged, so that they stay bounded."""
        self._batches.append(batch)
        if len(self._batches) > _MOST_BATCHES:
            self._batches = [_Batch.merged(self._batches)]

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def take(self) -> bytes:
        """Wait for events and return all of them; return nothing once closed.

        The first event after a pause does not wait, those that follow are gathered for a moment.
        """
        if not self._wake.is_set():
            self.view.on_wait(has_batches=bool(self._batches))
            self.view.waiting += 1
            try:
                await self._wake.wait()
            finally:
                self.view.waiting -= 1
        self._wake.clear()
        if self.closed:
            return b""
        batches, self._batches = self._batches, []
        return b"".join(batch.chunk() for batch in batches)


class Fanout:
    """The connected browsers, and the id of the last event."""

    def __init__(self) -> None:
        self._clients: set[Client] = set()
        # By filter, which browsers with the same view share.
        self._views: dict[EventFilter, _View] = {}
        self._last_id = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        return len(self._clients) >= MAX_CLIENTS

    def join(self, shows: EventFilter = everything) -> Client:
        """Add a browser that shows some changes; a closed fan-out gives a closed client.

        Raises TooManyClientsError.
        """
        if self.is_full:
            raise TooManyClientsError(f"{MAX_CLIENTS} browsers are connected, no more are served")
        view = self._views.get(shows)
        if view is None:
            view = self._views[shows] = _View(shows)
        # What came before is in the snapshot of the new browser.
        view.seal()
        client = Client(view)
        self._clients.add(client)
        view.clients.add(client)
        if self._closed:
            client.close()
        return client

    def leave(self, client: Client) -> None:
        """Remove a browser. Twice is fine, also where another one has its place by then."""
        self._clients.discard(client)
        client.view.clients.discard(client)
        if not client.view.clients and self._views.get(client.shows) is client.view:
            del self._views[client.shows]

    def send(self, changes: Iterable[Change], now_ms: int) -> None:
        """Offer each change to every browser that shows it."""
        for change in changes:
            self._last_id += 1
            event = b""
            for view in self._views.values():
                if view.shows(change):
                    event = event or self._encode(change, now_ms)
                    view.add(change, event)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        for client in self._clients:
            client.close()

    def snapshot_parts(
        self, snapshot: Snapshot, shows: EventFilter = everything
    ) -> Iterator[bytes]:
        """Yield the parts of one `snapshot` event of what a browser shows.

        Each takes some 2 ms. The event has the id of the last one before the call.
        """
        return _snapshot_parts(self._last_id, snapshot, shows)

    def _encode(self, change: Change, now_ms: int) -> bytes:
        update = Update(now_ms, change.topic, change.kind, change.node, change.name, change.value)
        return _event(self._last_id, b"update", _ENCODER.encode(update))


def _snapshot_parts(event_id: int, snapshot: Snapshot, shows: EventFilter) -> Iterator[bytes]:
    # As the encoder writes a Snapshot.
    part = b'id: %d\nevent: snapshot\ndata: {"now_ms":%d,"entries":[' % (event_id, snapshot.now_ms)
    for changes, end in ((snapshot.entries, b'],"logs":['), (snapshot.logs, b"]}\n\n")):
        is_first = True
        for start in range(0, len(changes), _PART):
            shown = [one for one in changes[start : start + _PART] if shows(one)]
            if shown:
                part += b"" if is_first else b","
                # Without the brackets of the list.
                part += _ENCODER.encode(shown)[1:-1]
                is_first = False
            if start + _PART < len(changes):
                yield part
                part = b""
        part += end
    yield part


def time_event(now_ms: int) -> bytes:
    """Return a `time` event: the hub's time, sent regularly so that a dead link is noticed."""
    return b'event: time\ndata: {"now_ms":%d}\n\n' % now_ms


def _event(event_id: int, name: bytes, data: bytes) -> bytes:
    # JSON holds no raw line break, so the data is one line.
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, name, data)
