"""Environments of this machine: the one in use, the updater's own, and those that may go."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bus.errors import MisconfiguredError, UnavailableError
from harvester.install.environment import (
    ENVIRONMENTS,
    LINK,
    UPDATER_LINK,
    read_identity,
    switch_to,
)
from harvester.install.system import System


class Environments:
    """Environments below `/opt/harvester`, by the names of their folders."""

    def __init__(self, system: System) -> None:
        self._system = system

    def folder(self, name: str) -> Path:
        return self._system.path(f"{ENVIRONMENTS}/{name}")

    @property
    def in_use(self) -> str:
        """The name of the environment that the services start. Raises MisconfiguredError."""
        return self._name_at(LINK)

    @property
    def updater(self) -> str:
        return self._name_at(UPDATER_LINK)

    def use(self, name: str) -> None:
        """Let the services start this environment the next time."""
        switch_to(Path(ENVIRONMENTS) / name, self._system.path(LINK))

    def update_with(self, name: str) -> None:
        """Let this environment do the next update."""
        switch_to(Path(ENVIRONMENTS) / name, self._system.path(UPDATER_LINK))

    def remove_others(self, kept: set[str]) -> list[str]:
        """Remove every environment that is neither kept nor linked; return their names."""
        kept = kept | {self.in_use, self.updater}
        folder = self._system.path(ENVIRONMENTS)
        removed = sorted(path.name for path in folder.iterdir() if path.name not in kept)
        for name in removed:
            shutil.rmtree(folder / name, ignore_errors=True)
        return removed

    def remove_incomplete(self) -> list[str]:
        """Remove what interrupted updates have left; return the names."""
        folder = self._system.path(ENVIRONMENTS)
        return self.remove_others({path.name for path in folder.iterdir() if read_identity(path)})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the environments, so that only one program makes any.

        Raises UnavailableError where another one does.
        """
        folder = os.open(self._system.path(ENVIRONMENTS), os.O_RDONLY)
        try:
            _lock(folder)
            yield
        finally:
            os.close(folder)

    def _name_at(self, link: str) -> str:
        try:
            target = self._system.path(link).readlink()
        except OSError as e:
            raise MisconfiguredError(
                f"{link}: found no link to an environment; run `harvester install` once"
            ) from e
        if target.parent != Path(ENVIRONMENTS):
            raise MisconfiguredError(
                f"{link}: found a link to {target}, expected one below {ENVIRONMENTS}; run "
                "`harvester install` once"
            )
        return target.name


def _lock(folder: int) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        raise UnavailableError(
            f"{ENVIRONMENTS}: another update is being installed; wait until it has ended"
        ) from e
