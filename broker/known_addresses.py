"""Addresses from which accounts logged in, kept in a file: login throttling spares them.

A hub that restarts while somebody guesses passwords still knows where its own devices are.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from bus.files import json_file
from bus.files.json_file import SavedOnChange

FILE_NAME = "known-addresses.json"
# The account that logged in longest ago is forgotten beyond that, and the address of an account.
MAX_ACCOUNTS = 10_000
MAX_ADDRESSES = 32
# A new address is rare, and each write wears out a card.
_SAVE_EVERY_S = 60.0


class KnownAddresses:
    """Networks by account, both as the login limiter names them. For one event loop.

    `path` is read at once; without one, nothing outlives the process.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = SavedOnChange(path)
        # Grows with each new address.
        self._changes = 0
        found = (
            None if path is None else json_file.load(path, dict[str, list[str]], "none is known")
        )
        self._networks = _bounded(found or {})

    def has(self, account: str, network: str) -> bool:
        """Whether the account logged in from there."""
        return network in self._networks.get(account, ())

    def add(self, account: str, network: str) -> None:
        """Note a log-in."""
        if not self.has(account, network):
            self._changes += 1
            self._file.changed()
        networks = self._networks.setdefault(account, OrderedDict())
        networks[network] = None
        networks.move_to_end(network)
        if len(networks) > MAX_ADDRESSES:
            networks.popitem(last=False)
        self._networks.move_to_end(account)
        if len(self._networks) > MAX_ACCOUNTS:
            self._networks.popitem(last=False)

    async def run(self) -> None:
        """Write new addresses every minute until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(_SAVE_EVERY_S)
                await self.save()
        finally:
            await self.save()

    async def save(self) -> None:
        """Write new addresses."""
        changes = self._changes
        snapshot = {account: list(networks) for account, networks in self._networks.items()}
        await asyncio.to_thread(self._file.save, lambda: snapshot)
        if self._changes != changes:
            # What came meanwhile may not be in the file, which `save` has marked as up to date.
            self._file.changed()


def _bounded(found: Mapping[str, list[str]]) -> OrderedDict[str, OrderedDict[str, None]]:
    newest = list(found.items())[-MAX_ACCOUNTS:]
    return OrderedDict(
        (account, OrderedDict.fromkeys(networks[-MAX_ADDRESSES:])) for account, networks in newest
    )
