"""Manifest of a backup: its format, the program that wrote it, and every file with its checksum."""

import re
import stat
from pathlib import PurePosixPath

import msgspec

from broker.embedded.store import tables as broker_store
from bus.contract.mistake import shown
from harvester.backup.errors import BadArchiveError
from hub_app.history import schema as history
from hub_app.history.logs import log_file

NAME = "manifest.json"
FORMAT = 1
MAX_BYTES = 16_000_000
MAX_PARTS = 20_000

HISTORY = "state/history.db"
BROKER = "state/broker/broker.sqlite3"
# The versions of databases that this program reads.
VERSIONS = {
    HISTORY: history.VERSION,
    "state/logs.db": log_file.VERSION,
    BROKER: broker_store.VERSION,
}

# The folder of a worker, which has the files of a hub with all nodes.
_WORKER = re.compile(r"(?<=\Astate/)worker-[1-9][0-9]*/")
_ROOTS = ("state", "tls", "agent", "config", "files")
_MAX_NAME = 500
_MODES = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
# No separator, no control character, and neither `.` nor `..`.
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[^/\\\x00-\x1f\x7f]{1,255}")


class Owner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """User and group of a file; the names count where this machine has them."""

    uid: int
    gid: int
    user: str = ""
    group: str = ""


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder with its mode and owner."""

    name: str
    mode: int
    owner: Owner


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the archive; `version` is that of a database's tables, None of another file."""

    name: str
    bytes: int
    sha256: str
    mode: int
    owner: Owner
    version: int | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of the manifest."""

    format: int
    program: str
    node: str
    made_ms: int
    parts: list[Part]
    folders: list[Folder] = []


class _Format(msgspec.Struct, frozen=True):
    format: int


def decode(data: bytes) -> Manifest:
    """Return the manifest in `data`, checked. Raises BadArchiveError."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found > FORMAT:
            raise BadArchiveError(
                f"found format {found}, expected at most {FORMAT}: a newer version of this program "
                "wrote it; update this one first"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise BadArchiveError(f"{NAME}: {e}") from e
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    names = [part.name for part in manifest.parts]
    names += [folder.name for folder in manifest.folders]
    if len(names) > MAX_PARTS:
        raise BadArchiveError(f"found {len(names)} files, expected at most {MAX_PARTS}")
    for name in names:
        check_name(name)
    _check_nesting(manifest)
    modes = [entry.mode for entry in manifest.parts]
    modes += [entry.mode for entry in manifest.folders]
    for mode in modes:
        if mode & ~_MODES:
            raise BadArchiveError(f"found mode {mode:o}, expected at most 777")
    for part in manifest.parts:
        known = VERSIONS.get(name_at_hub(part.name))
        if known is not None and not 1 <= (part.version or 0) <= known:
            raise BadArchiveError(
                f"{part.name}: found version {part.version}, expected 1 to {known}: a newer "
                "version of this program wrote it; update this one first"
            )


def _check_nesting(manifest: Manifest) -> None:
    """Raise BadArchiveError where a name is there twice, or a file is also a folder."""
    files = {part.name for part in manifest.parts}
    folders = {folder.name for folder in manifest.folders}
    if len(files) + len(folders) != len(manifest.parts) + len(manifest.folders) or files & folders:
        raise BadArchiveError("found a name twice")
    for name in (*files, *folders):
        for parent in PurePosixPath(name).parents:
            if str(parent) in files:
                raise BadArchiveError(f"found {shown(name)} within a file")


def name_at_hub(name: str) -> str:
    """Return the name of a part; of a worker's, the name that it has where a hub has all nodes."""
    return _WORKER.sub("", name)


def check_name(name: str) -> None:
    """Raise BadArchiveError where a name could lead out of its place."""
    segments = name.split("/")
    is_safe = len(name) <= _MAX_NAME and all(map(_SEGMENT.fullmatch, segments))
    if not is_safe or segments[0] not in _ROOTS:
        raise BadArchiveError(f"found the name {shown(name)}, which no backup has")
