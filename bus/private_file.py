"""Files that hold secrets: written whole, readable by their owner alone, refused otherwise."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bus.errors import MisconfiguredError

MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read(path: Path) -> bytes:
    """Return what the file holds. Raises FileNotFoundError where there is none.

    Raises MisconfiguredError where others than its owner may reach it, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise MisconfiguredError(
                    f"{path}: found mode {mode:04o}, expected {MODE:04o}, as it holds a secret: "
                    f"chmod 600 {path}"
                )
            return file.read()
    except FileNotFoundError:
        raise
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable file") from e


def write(path: Path, data: bytes) -> None:
    """Replace the file at once: who reads sees the old or the new one, whole.

    Written by root, it belongs to whom its folder belongs to: the service reads it.
    Raises MisconfiguredError where it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        make_directory(path.parent)
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
            file.write(data)
            _give_away(file.fileno(), path.parent)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as e:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise MisconfiguredError(f"{path}: cannot be written: {e.strerror}") from e


def make_directory(path: Path) -> None:
    """Make a folder for secrets, closed to others, where there is none."""
    if not path.is_dir():
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        # As systemd would: the service reads what root puts there.
        _give_away(path, path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other programs from changing `path` until the context ends."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        make_directory(path.parent)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, MODE)
    except OSError as e:
        raise MisconfiguredError(f"{lock}: cannot be written: {e.strerror}") from e
    try:
        _give_away(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _give_away(what: int | Path, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(what, owner.st_uid, owner.st_gid)
