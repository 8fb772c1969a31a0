"""The record beside a compiled file: what it was made from and by, and how to tell that it changed.

A compiled file is native code that wasmtime trusts, so a changed one must never be mapped. A file
that still has the size, times and inode it was sealed with was not written to: the change time is
the kernel's own, and no program of this user can set it back. Only where these differ, as after a
copy or a restored backup, is the file read whole and its digest decides.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from node_agent.sandbox.engine import SETTINGS

_SUFFIX = ".json"


class Stamp(msgspec.Struct, frozen=True):
    """A file's size in bytes, its modification and change times in ns, and its inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


class Seal(msgspec.Struct, frozen=True):
    """`component` and `sha256` are the digests of what was compiled, and of the compiled file."""

    component: str
    sha256: str
    settings: str
    machine: str
    stamp: Stamp | None = None


def seal_path(compiled: Path) -> Path:
    return compiled.with_name(compiled.name + _SUFFIX)


def read(compiled: Path) -> Seal | None:
    """Return a compiled file's record; None where there is none that can be read."""
    try:
        return msgspec.json.decode(seal_path(compiled).read_bytes(), type=Seal)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write(compiled: Path, seal: Seal) -> None:
    """Keep the record of a file that stands in its place already."""
    stamped = msgspec.structs.replace(seal, stamp=stamp(compiled))
    write_whole(seal_path(compiled), msgspec.json.encode(stamped))


def holds(compiled: Path, component: str, machine: str) -> bool:
    """Whether a file is what its record says, made of `component`, and maps on this host."""
    seal = read(compiled)
    if seal is None or not fits(seal, component, machine):
        return False
    try:
        if seal.stamp == stamp(compiled):
            return True
        with compiled.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    if digest != seal.sha256:
        return False
    write(compiled, seal)
    return True


def fits(seal: Seal, component: str, machine: str) -> bool:
    """Whether what a record describes is made of `component`, for this host and such a machine."""
    return (seal.component, seal.settings, seal.machine) == (component, SETTINGS, machine)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file with mode 0600 so that even a power cut leaves the old content or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        # What was just written lies in the page cache in huge pages, and a process that maps it
        # gets those whole, 2 MB for every page it touches. Read back from disk, it does not.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    partial.replace(path)


def stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
