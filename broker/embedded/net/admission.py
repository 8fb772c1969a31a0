"""Admission control: a limit of connections in all and for each address. It knows no socket."""

from collections import Counter

from broker.embedded.counters import Refusal


class Admission:
    """Counts connections from the moment they are accepted, before a byte is read."""

    def __init__(self, connections: int, per_address: int) -> None:
        self._max = connections
        self._max_per_address = per_address
        self._by_address: Counter[str] = Counter()
        self.count = 0

    def admit(self, address: str) -> Refusal | None:
        """Count a connection; return the reason where it is refused."""
        if self.count >= self._max:
            return Refusal.CONNECTIONS
        if self._by_address[address] >= self._max_per_address:
            return Refusal.ADDRESS
        self._by_address[address] += 1
        self.count += 1
        return None

    def release(self, address: str) -> None:
        """Uncount a connection that was admitted."""
        self.count -= 1
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
