"""Watch of one file: tells when it was replaced and has stopped growing."""

from collections.abc import Callable
from pathlib import Path

Stamp = tuple[int, int, int]


class FileWatch:
    """Compares the file that `locate` returns with the version that was loaded last.

    One thread at a time.
    """

    def __init__(self, locate: Callable[[], Path]) -> None:
        self._locate = locate
        self._loaded: Stamp | None = None
        self._seen: Stamp | None = None

    @property
    def path(self) -> Path:
        return self._locate()

    def mark_loaded(self) -> None:
        """Take the file as it is now for the loaded version."""
        self._loaded = self._seen = _stamp(self.path)

    def forget_loaded(self) -> None:
        """Let the present file count as a new version."""
        self._loaded = None

    @property
    def is_forgotten(self) -> bool:
        """Whether the next version is new only because `forget_loaded` was called."""
        return self._loaded is None

    def has_new_version(self) -> bool:
        """Return whether the file differs from the loaded version.

        Only a file that is the same at two calls counts: one that is still being written does not.
        """
        found = _stamp(self.path)
        is_settled = found == self._seen
        self._seen = found
        return found is not None and found != self._loaded and is_settled


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
