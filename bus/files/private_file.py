"""Files that hold secrets: replaced whole, mode 0600, refused when others can read them."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.files import whole_file

MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read(path: Path) -> bytes:
    """Return the file's content. Raises FileNotFoundError where it is missing.

    Raises MisconfiguredError where others than its owner may access it, or it cannot be read.
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
    """Replace the file at once, durably: a reader sees the old or the new one, whole.

    Written by root, it belongs to the owner of its folder, so that the service can read it.
    Raises MisconfiguredError where it cannot be written.
    """
    try:
        make_directory(path.parent)
        whole_file.replace(path, data, mode=MODE, owner=_owner_in(path.parent))
    except OSError as e:
        raise MisconfiguredError(f"{path}: cannot be written: {e.strerror}") from e


def make_directory(path: Path) -> None:
    """Make a folder for secrets, mode 0700, where it is missing."""
    if not path.is_dir():
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        # As systemd would, so that the service can read files that root puts there.
        _set_owner(path, path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock `path` against changes by other programs until the context ends."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        make_directory(path.parent)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, MODE)
    except OSError as e:
        raise MisconfiguredError(f"{lock}: cannot be written: {e.strerror}") from e
    try:
        _set_owner(descriptor, path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _set_owner(what: int | Path, folder: Path) -> None:
    owner = _owner_in(folder)
    if owner is not None:
        os.chown(what, *owner)


def _owner_in(folder: Path) -> tuple[int, int] | None:
    """Return the user and group that a file made by root in `folder` is to have."""
    if os.geteuid() != 0:
        return None
    found = folder.stat()
    return found.st_uid, found.st_gid
