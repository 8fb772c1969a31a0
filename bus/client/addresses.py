"""Addresses of a broker or a cluster, tried in turn. Pure."""

from collections.abc import Sequence

Address = tuple[str, int]


class AddressRotation:
    """One address after the other, the first again after the last."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._index = 0

    @property
    def current(self) -> Address:
        return self._addresses[self._index]

    def advance(self) -> None:
        """Go on to the next address, after a connection to the present one has ended."""
        self._index = (self._index + 1) % len(self._addresses)

    def replace(self, addresses: Sequence[Address]) -> None:
        """Take other addresses; the present one is kept where it is among them."""
        current = self.current
        self._addresses = tuple(addresses)
        self._index = self._addresses.index(current) if current in self._addresses else 0
