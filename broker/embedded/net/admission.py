"""Admission control: places of connections, in all and for each address. It knows no socket.

A connection that has not logged in has a place of its own kind, few an address. When these are
taken, the oldest makes room for a new one after `_PATIENCE_S`: whoever opens connections without
logging in keeps nobody out, at the same address either.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

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
        # Called, the first one alone, when a place has become free.
        self._queue: deque[asyncio.Event] = deque()

    @property
    def connected(self) -> int:
        return self._connected.total()

    @property
    def waiting(self) -> int:
        """The number of connections that have not logged in."""
        return sum(map(len, self._waiting.values()))

    def admit(self, address: str, now_s: float) -> Place | Refusal:
        """Give a new connection a place, or return the reason where it is refused."""
        refusal = self._refusal(address)
        if refusal is not None:
            return refusal
        is_local = address in _THIS_MACHINE
        most = self._logins_per_address * (_LOGINS_OF_THIS_MACHINE if is_local else 1)
        theirs = self._waiting.get(address, deque())
        if len(theirs) >= most and not self._evict(theirs[0], now_s):
            return Refusal.LOGINS
        is_full = not is_local and len(self._from_network) >= self._logins
        if is_full and not self._evict(next(iter(self._from_network)), now_s):
            return Refusal.LOGINS
        place = Place(address, now_s)
        self._waiting.setdefault(address, deque()).append(place)
        if not is_local:
            self._from_network[place] = None
        return place

    def may_queue(self, address: str) -> bool:
        """Whether a connection that was refused for want of a login place may wait for one."""
        theirs = self._waiting.get(address, ())
        is_greedy = address not in _THIS_MACHINE and len(theirs) >= self._logins_per_address
        return not is_greedy and len(self._queue) < MAX_QUEUED

    async def wait_for_place(self, address: str, deadline_s: float) -> Place | Refusal:
        """Return a place once there is one, the reason where there is none in time."""
        loop = asyncio.get_running_loop()
        while True:
            place = self.admit(address, loop.time())
            if place is not Refusal.LOGINS or loop.time() >= deadline_s:
                return place
            turn = asyncio.Event()
            self._queue.append(turn)
            try:
                # Places whose connections have had their time become free without a word.
                async with asyncio.timeout(_PATIENCE_S):
                    await turn.wait()
            except TimeoutError:
                continue
            finally:
                if turn in self._queue:
                    self._queue.remove(turn)

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
        if self._queue:
            self._queue.popleft().set()
        self._from_network.pop(place, None)
        theirs = self._waiting.get(place.address)
        if theirs is None or place not in theirs:
            return
        theirs.remove(place)
        if not theirs:
            del self._waiting[place.address]
