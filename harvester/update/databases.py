"""Databases in an update: copies of those that a new version changes, and their return.

A version refuses a file that a newer one wrote. Where the new version changes the tables of a file,
a copy is made beside it; a roll-back puts it back where the tables were changed meanwhile.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from bus.errors import MisconfiguredError, UnavailableError
from bus.files import whole_file
from bus.files.database_version import read_version
from bus.install.update_record import SavedDatabase
from harvester.backup.database_copy import copy_database
from harvester.install.system import System

# Where services keep their databases, in RAM, too.
_PATTERNS = ("var/lib/harvester-*", "run/harvester-*")
COPY_SUFFIX, NEWER_SUFFIX = ".before-update", ".newer"
_PARTIAL_SUFFIX = f"{COPY_SUFFIX}.partial"
_LOG_SUFFIXES = ("-wal", "-shm", "-journal")
_PRIVATE_MODE = 0o600

# File names with the versions of their tables.
Versions = Mapping[str, int]


def find(system: System, names: Iterable[str]) -> list[SavedDatabase]:
    """Return this machine's databases of those names, with the versions of their tables."""
    folders = [path for pattern in _PATTERNS for path in system.root.glob(pattern)]
    paths = sorted(path for folder in folders for name in names for path in folder.rglob(name))
    found = [SavedDatabase(str(path), _version(path)) for path in paths if path.is_file()]
    return [each for each in found if each.version > 0]


def changed_by(found: Iterable[SavedDatabase], versions: Versions) -> list[SavedDatabase]:
    """Return the databases whose tables the new version changes.

    Raises MisconfiguredError where one is newer than what it can read.
    """
    changed = []
    for each in found:
        wanted = versions.get(Path(each.path).name, each.version)
        if each.version > wanted:
            raise MisconfiguredError(
                f"{each.path}: found tables of version {each.version}, and the other version of "
                f"HARVESTER reads at most {wanted}; `harvester restore` of an older backup is the "
                "way back"
            )
        if each.version < wanted:
            changed.append(each)
    return changed


def save(databases: Iterable[SavedDatabase]) -> None:
    """Make a durable copy of each database, whose service is stopped. Raises UnavailableError."""
    for each in databases:
        path = Path(each.path)
        partial, copy = (Path(f"{path}{suffix}") for suffix in (_PARTIAL_SUFFIX, COPY_SUFFIX))
        try:
            for old in (partial, copy, Path(f"{path}{NEWER_SUFFIX}")):
                old.unlink(missing_ok=True)
            copy_database(path, partial, lambda _part: None)
            _own_like(partial, path)
            _sync(partial)
            partial.rename(copy)
            whole_file.sync_folder(path.parent)
        except OSError as e:
            raise UnavailableError(f"{copy}: {e.strerror}") from e


def restore(databases: Iterable[SavedDatabase]) -> list[str]:
    """Put back the copies of databases whose tables were changed; return their paths.

    May be repeated after a power cut: the changed file gets a second name first, which says that
    the copy is to take its place. Raises UnavailableError.
    """
    restored = []
    try:
        for each in databases:
            path, copy = Path(each.path), Path(f"{each.path}{COPY_SUFFIX}")
            newer = Path(f"{each.path}{NEWER_SUFFIX}")
            if copy.is_file() and (newer.exists() or _version(path) > each.version):
                _put_back(path, copy, newer)
                restored.append(each.path)
    except OSError as e:
        raise UnavailableError(f"{e.filename}: {e.strerror}") from e
    return restored


def drop_copies(databases: Iterable[SavedDatabase]) -> None:
    """Remove the copies. Raises UnavailableError."""
    for each in databases:
        try:
            Path(f"{each.path}{COPY_SUFFIX}").unlink(missing_ok=True)
        except OSError as e:
            raise UnavailableError(f"{each.path}{COPY_SUFFIX}: {e.strerror}") from e


def _put_back(path: Path, copy: Path, newer: Path) -> None:
    if not newer.exists():
        # What the log has goes into the file, which is then whole by itself.
        _fold_log(path)
        os.link(path, newer)
        whole_file.sync_folder(path.parent)
    for suffix in _LOG_SUFFIXES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    copy.rename(path)
    whole_file.sync_folder(path.parent)


def _fold_log(path: Path) -> None:
    # A file that is damaged gives way just the same.
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db,
    ):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _version(path: Path) -> int:
    try:
        return read_version(path)
    except OSError as e:
        raise UnavailableError(f"{path}: {e.strerror}") from e


def _own_like(path: Path, other: Path) -> None:
    status = other.stat()
    if os.geteuid() == 0:
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(_PRIVATE_MODE)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
