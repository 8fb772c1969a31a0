"""Cache of bundles' compiled code on disk, for a quicker load.

The code is a guest's own: it is kept by the digests of the bundle and of the runtime that compiled
it, and is only ever given back to the same bundle in its sandbox.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bus.files import whole_file

logger = logging.getLogger(__name__)

SUFFIX = ".code"
# The shipped plugins have 10 to 60 KB.
_MAX_BYTES = 4 << 20
# Of all bundles: what a bundle that wants to fill the disk may take.
MOST_BYTES = 32 << 20
_USED_EVERY_S = 24 * 3600.0


class CodeCache:
    """The code of one bundle. It never raises: a guest's call stands behind each method."""

    def __init__(self, directory: Path, bundle: str, runtime: str) -> None:
        """`bundle` and `runtime` are the sha256 of both, in hex."""
        self._path = directory / f"{bundle}-{runtime[:16]}{SUFFIX}"

    def get(self) -> str | None:
        """Return what was kept; None where there is nothing."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if time.time() - self._path.stat().st_mtime > _USED_EVERY_S:
                # The cache removes what nobody has used for a month.
                os.utime(self._path)
            return self._path.read_text(encoding="ascii")
        return None

    def keep(self, code: str) -> None:
        if len(code) > _MAX_BYTES or not code.isascii():
            return
        try:
            whole_file.replace(self._path, code.encode())
            self._trim()
        except OSError as e:
            logger.warning("%s: %s; the code is compiled again next time", self._path, e.strerror)

    def _trim(self) -> None:
        """Remove the code that was not used for longest, beyond the size of all together."""
        room = MOST_BYTES
        for path, status in sorted(_codes(self._path.parent), key=lambda each: -each[1].st_mtime):
            room -= status.st_size
            if room < 0:
                path.unlink(missing_ok=True)


def _codes(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in directory.glob(f"*{SUFFIX}"):
        # Another process that shares the directory may remove it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()
