"""How many connections there may be, in all and from one address. It knows no socket."""

from collections import Counter

from broker.embedded.statistics import Refusal


class Admission:
    """Counts connections from the moment they are accepted, before any of them has said a word."""

    def __init__(self, connections: int, per_address: int) -> None:
        self._most = connections
        self._most_per_address = per_address
        self._by_address: Counter[str] = Counter()
        self.count = 0

    def enter(self, address: str) -> Refusal | None:
        """Take a place, or return why there is none."""
        if self.count >= self._most:
            return Refusal.CONNECTIONS
        if self._by_address[address] >= self._most_per_address:
            return Refusal.ADDRESS
        self._by_address[address] += 1
        self.count += 1
        return None

    def leave(self, address: str) -> None:
        self.count -= 1
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
