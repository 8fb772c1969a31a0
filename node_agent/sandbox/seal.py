"""Seal of a compiled file: a record of its origin, by which a change is noticed.

A compiled file is native code that wasmtime trusts, so a changed one must never be mapped. A file
that still has the size, times and inode it was sealed with was not written to: the change time is
the kernel's own, and no program of this user can set it back. Only where these differ, as after a
copy or a restored backup, is the file read whole and its digest decides.
"""

import hashlib
from pathlib import Path

import msgspec

from bus.files import whole_file
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
    """Write the record of a file that is in its final place already."""
    stamped = msgspec.structs.replace(seal, stamp=stamp(compiled))
    whole_file.replace(seal_path(compiled), msgspec.json.encode(stamped))


def holds(compiled: Path, component: str, machine: str) -> bool:
    """Return whether a file matches its record and `component`, and can be mapped on this host."""
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
    """Return whether a record is of `component`, for this host's wasmtime and this machine type."""
    return (seal.component, seal.settings, seal.machine) == (component, SETTINGS, machine)


def stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
