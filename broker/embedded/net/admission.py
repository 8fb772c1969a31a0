"""Admission control: places of connections, in all and for each address. It knows no socket.

A connection that has not logged in has a place of its own kind, few an address. When these are
taken, the oldest makes room for a new one after `_PATIENCE_S`: whoever opens connections without
logging in keeps nobody out, at the same address either. A connection whose CONNECT waits for its
authentication has left that place to others.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterator

from broker.embedded.counters import Refusal

# A client on this machine finds a place whatever comes from the network.
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
# One in so many places of logged-in clients is for this machine.
_SHARE_OF_THIS_MACHINE = 16
# Its programs may start all at once.
_LOGINS_OF_THIS_MACHINE = 4
# Accepted connections that wait for a place, when many programs of this machine or many nodes
# connect at once. Each costs a descriptor and nothing else.
MAX_QUEUED = 1_024
_MAX_QUEUED_PER_ADDRESS = 256
# Connections whose CONNECT is being authenticated: the gate has a limit of its own.
MAX_AUTHENTICATING = 512
# A healthy client logs in within that time.
_PATIENCE_S = 1.0


class Place:
    """Place of one connection, from its acceptance to its end."""

    def __init__(self, address: str, since_s: float) -> None:
        self.address = address
        self.since_s = since_s
        self.has_logged_in = False
        # Ends the connection.
        self.evict: Callable[[], object] = lambda: None


class _Turn:
    """Turn of a connection that waits for a place. `has_sent` says whether its peer has sent."""

    def __init__(self, has_sent: Callable[[], bool]) -> None:
        self.has_sent = has_sent
        self._called = asyncio.Event()

    @property
    def is_called(self) -> bool:
        return self._called.is_set()

    def call(self) -> None:
        self._called.set()

    async def wait(self) -> None:
        """Wait for the call, for so long at most."""
        self._called.clear()
        # Places whose connections have had their time become free without a word.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await self._called.wait()


class Admission:
    """Counts connections from the moment they are accepted, before a byte is read.

    `connections` and `per_address` limit the clients that have logged in, `logins` and
    `logins_per_address` the connections that have not yet.
    """

    def __init__(
        self, *, connections: int, per_address: int, logins: int, logins_per_address: int
    ) -> None:
        self._connections = connections
        self._per_address = per_address
        self._logins = logins
        self._logins_per_address = logins_per_address
        self._connected: Counter[str] = Counter()
        self._waiting: dict[str, deque[Place]] = {}
        # Those of the network alone, the oldest first.
        self._from_network: dict[Place, None] = {}
        self._authenticating = 0
        # Those that wait for a place, by address.
        self._queue: dict[str, deque[_Turn]] = {}

    @property
    def connected(self) -> int:
        return self._connected.total()

    @property
    def waiting(self) -> int:
        """The number of connections that have not logged in."""
        return sum(map(len, self._waiting.values()))

    def admit(self, address: str, now_s: float) -> Place | Refusal:
        """Give a new connection a place, or return the reason where it is refused."""
        # Not before those that wait.
        return Refusal.LOGINS if address in self._queue else self._admit(address, now_s)

    def _admit(self, address: str, now_s: float, *, may_evict: bool = True) -> Place | Refusal:
        refusal = self._refusal(address)
        if refusal is not None:
            return refusal
        if not self._make_room(address, now_s, may_evict=may_evict):
            return Refusal.LOGINS
        place = Place(address, now_s)
        self._waiting.setdefault(address, deque()).append(place)
        if address not in _THIS_MACHINE:
            self._from_network[place] = None
        return place

    def _make_room(self, address: str, now_s: float, *, may_evict: bool) -> bool:
        """Say whether there is a login place, after eviction of the oldest where that may be."""
        has_room = self._has_room(address)
        if not has_room and not (may_evict and self._evict(self._waiting[address][0], now_s)):
            return False
        if address in _THIS_MACHINE or len(self._from_network) < self._logins:
            return True
        return may_evict and self._evict(next(iter(self._from_network)), now_s)

    def _has_room(self, address: str) -> bool:
        """Whether an address has a login place left."""
        share = _LOGINS_OF_THIS_MACHINE if address in _THIS_MACHINE else 1
        return len(self._waiting.get(address, ())) < self._logins_per_address * share

    def may_queue(self, address: str) -> bool:
        """Whether a connection that was refused for want of a login place may wait for one."""
        own = len(self._queue.get(address, ()))
        return own < _MAX_QUEUED_PER_ADDRESS and sum(map(len, self._queue.values())) < MAX_QUEUED

    async def wait_for_place(
        self, address: str, deadline_s: float, has_sent: Callable[[], bool]
    ) -> Place | Refusal:
        """Return a place once there is one, the reason where there is none in time.

        Those whose peers have sent something, as `has_sent` says, go first, and only they replace
        others: a healthy client begins at once.
        """
        loop = asyncio.get_running_loop()
        place = self.admit(address, loop.time())
        if place is not Refusal.LOGINS:
            return place
        turn = _Turn(has_sent)
        self._queue.setdefault(address, deque()).append(turn)
        try:
            while place is Refusal.LOGINS and loop.time() < deadline_s:
                await turn.wait()
                place = self._admit(address, loop.time(), may_evict=has_sent())
            return place
        finally:
            self._leave_queue(address, turn)

    def _leave_queue(self, address: str, turn: _Turn) -> None:
        line = self._queue[address]
        line.remove(turn)
        if not line:
            del self._queue[address]

    @contextlib.contextmanager
    def authenticating(self, place: Place) -> Iterator[None]:
        """Leave the place of a connection to others while its CONNECT is being authenticated."""
        if self._authenticating >= MAX_AUTHENTICATING:
            yield
            return
        self._stop_waiting(place)
        self._authenticating += 1
        try:
            yield
        finally:
            self._authenticating -= 1

    def log_in(self, place: Place) -> Refusal | None:
        """Give a client that has logged in a place of that kind; return why not."""
        refusal = self._refusal(place.address)
        if refusal is None:
            self._stop_waiting(place)
            place.has_logged_in = True
            self._connected[place.address] += 1
        return refusal

    def release(self, place: Place) -> None:
        """Free the place of a connection that has ended."""
        if not place.has_logged_in:
            self._stop_waiting(place)
            return
        self._connected[place.address] -= 1
        if self._connected[place.address] <= 0:
            del self._connected[place.address]

    def _refusal(self, address: str) -> Refusal | None:
        reserved = self._connections // _SHARE_OF_THIS_MACHINE
        most = self._connections - (0 if address in _THIS_MACHINE else reserved)
        if self.connected >= most:
            return Refusal.CONNECTIONS
        if self._connected[address] >= self._per_address:
            return Refusal.ADDRESS
        return None

    def _evict(self, place: Place, now_s: float) -> bool:
        if now_s - place.since_s < _PATIENCE_S:
            return False
        self._stop_waiting(place)
        place.evict()
        return True

    def _stop_waiting(self, place: Place) -> None:
        """Free a login place, if the connection has one still."""
        theirs = self._waiting.get(place.address)
        if theirs is None or place not in theirs:
            return
        theirs.remove(place)
        if not theirs:
            del self._waiting[place.address]
        self._from_network.pop(place, None)
        self._call_next()

    def _call_next(self) -> None:
        """Let a connection try again: the next of an address that has room, each in turn."""
        for address, line in self._queue.items():
            waiting = [turn for turn in line if not turn.is_called]
            if waiting and self._has_room(address):
                next((turn for turn in waiting if turn.has_sent()), waiting[0]).call()
                self._queue[address] = self._queue.pop(address)
                return
