"""Addresses of a broker or a cluster, tried in turn. Pure."""

from collections.abc import Sequence

Address = tuple[str, int]


class AddressRotation:
    """One address after the other, the first again after the last."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._index = 0
        # Addresses in a row that gave no connection.
        self._failures = 0

    @property
    def current(self) -> Address:
        return self._addresses[self._index]

    @property
    def has_others(self) -> bool:
        return len(self._addresses) > 1

    def advance(self, *, was_connected: bool) -> bool:
        """Go on to the next address, after a connection to the present one has ended or failed.

        Return whether the next one gave no connection either when it was tried last.
        """
        self._index = (self._index + 1) % len(self._addresses)
        self._failures = 0 if was_connected else self._failures + 1
        return self._failures > 0 and self._failures % len(self._addresses) == 0

    def replace(self, addresses: Sequence[Address]) -> None:
        """Take other addresses; the present one is kept where it is among them."""
        current = self.current
        self._addresses = tuple(addresses)
        self._index = self._addresses.index(current) if current in self._addresses else 0
