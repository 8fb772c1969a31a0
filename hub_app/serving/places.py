"""Connection places: a bound for each address and for all, with places kept for health checks.

A newcomer takes the place of the connection that has waited longest for a request, so idle
connections keep nobody out. It knows no socket and no clock.
"""

import enum
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

Connection = TypeVar("Connection", bound=Hashable)

# Each of a page's visitors has a stream and a few requests.
MAX_CONNECTIONS = 512
# TLS takes some 320 KB for each.
MAX_TLS_CONNECTIONS = 256
MAX_PER_ADDRESS = 64
# A reverse proxy carries the requests of many; `hub_app.serving.client_limit` tells them apart.
MAX_PER_PROXY = 256
# For `GET /health` while all other places are in use.
HEALTH_PLACES = 64


class Admission(enum.Enum):
    """Result of a new connection's request for a place."""

    FULL_SERVICE = enum.auto()
    HEALTH_ONLY = enum.auto()
    REFUSED = enum.auto()


class Admitted(NamedTuple, Generic[Connection]):
    """The result for a new connection, and the connection that lost its place to it."""

    admission: Admission
    dropped: Connection | None = None


class _Pool(Generic[Connection]):
    """Connections and their addresses; those that wait for a request, longest first."""

    def __init__(self) -> None:
        self.addresses: dict[Connection, str] = {}
        self.by_address: Counter[str] = Counter()
        self._waiting: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self.addresses)

    def add(self, connection: Connection, address: str) -> None:
        self.addresses[connection] = address
        self.by_address[address] += 1
        self.set_waiting(connection)

    def remove(self, connection: Connection) -> None:
        self.set_busy(connection)
        address = self.addresses.pop(connection)
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]

    def set_waiting(self, connection: Connection) -> None:
        waiting = self._waiting.setdefault(self.addresses[connection], {})
        waiting.pop(connection, None)
        waiting[connection] = None

    def set_busy(self, connection: Connection) -> None:
        address = self.addresses[connection]
        waiting = self._waiting.get(address, {})
        waiting.pop(connection, None)
        if not waiting:
            self._waiting.pop(address, None)

    def longest_waiting_of(self, address: str) -> Connection | None:
        return next(iter(self._waiting.get(address, ())), None)

    def longest_waiting(self) -> Connection | None:
        """Return the longest waiting connection of the address with the most of them."""
        most = max(self._waiting.values(), key=len, default={})
        return next(iter(most), None)


class Places(Generic[Connection]):
    """All connections of the web server. `is_proxy` tells the addresses of reverse proxies."""

    def __init__(
        self,
        is_proxy: Callable[[str], bool] = lambda _address: False,
        *,
        total: int = MAX_CONNECTIONS,
        per_address: int = MAX_PER_ADDRESS,
        per_proxy: int = MAX_PER_PROXY,
        for_health: int = HEALTH_PLACES,
    ) -> None:
        self._is_proxy = is_proxy
        self._total = total
        self._per_address = per_address
        self._per_proxy = per_proxy
        self._for_health = for_health
        self._served: _Pool[Connection] = _Pool()
        self._health_only: _Pool[Connection] = _Pool()

    def admit(self, connection: Connection, address: str) -> Admitted[Connection]:
        """Give a connection its place, in which it waits for its first request."""
        dropped = None
        if self._served.by_address[address] >= self._most(address):
            dropped = self._served.longest_waiting_of(address)
        elif len(self._served) >= self._total:
            dropped = self._served.longest_waiting()
        else:
            self._served.add(connection, address)
            return Admitted(Admission.FULL_SERVICE)
        if dropped is None:
            return self._admit_for_health(connection, address)
        self._served.remove(dropped)
        self._served.add(connection, address)
        return Admitted(Admission.FULL_SERVICE, dropped)

    def set_waiting(self, connection: Connection) -> None:
        """Note that a connection now waits for a request."""
        for pool in self._pools_of(connection):
            pool.set_waiting(connection)

    def set_busy(self, connection: Connection) -> None:
        """Note that a whole request of a connection is there: it keeps its place."""
        for pool in self._pools_of(connection):
            pool.set_busy(connection)

    def release(self, connection: Connection) -> None:
        """Give up the place of a connection; one that has none is ignored."""
        for pool in self._pools_of(connection):
            pool.remove(connection)

    def _admit_for_health(self, connection: Connection, address: str) -> Admitted[Connection]:
        dropped = None
        if len(self._health_only) >= self._for_health:
            dropped = self._health_only.longest_waiting()
            if dropped is None:
                return Admitted(Admission.REFUSED)
            self._health_only.remove(dropped)
        self._health_only.add(connection, address)
        return Admitted(Admission.HEALTH_ONLY, dropped)

    def _most(self, address: str) -> int:
        return self._per_proxy if self._is_proxy(address) else self._per_address

    def _pools_of(self, connection: Connection) -> list[_Pool[Connection]]:
        pools = (self._served, self._health_only)
        return [pool for pool in pools if connection in pool.addresses]
