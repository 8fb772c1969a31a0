"""Contents of a backup: every file and folder of the hub's places that belongs into it."""

import grp
import os
import pwd
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from harvester.backup.errors import BackupFailedError
from harvester.backup.manifest import Folder, Owner
from harvester.backup.places import Places, is_copied, stays

_DATABASE = b"SQLite format 3\0"


class Source(msgspec.Struct, frozen=True):
    """A file to back up, with its name in the archive."""

    name: str
    path: Path
    bytes: int
    is_database: bool


class Contents(msgspec.Struct, frozen=True):
    """Files and folders of a backup; `skipped` are neither, links and sockets for example."""

    sources: list[Source]
    folders: list[Folder]
    skipped: list[Path]


def collect(places: Places) -> Contents:
    """Return what a backup of `places` holds, databases last.

    Raises BackupFailedError where a file cannot be read.
    """
    found = Contents([], [], [])
    for place in places.every:
        try:
            if place.is_folder:
                _add_folder(found, place.name, place.path, partial(places.is_foreign, place))
            elif place.path.is_file():
                _add_file(found, place.name, place.path)
            elif place.path.exists():
                found.skipped.append(place.path)
        except FileNotFoundError:
            # Not every hub has every place.
            continue
        except OSError as e:
            raise BackupFailedError(
                f"{e.filename}: {e.strerror}; run this as root or as the hub's user"
            ) from e
    found.sources.sort(key=lambda source: source.is_database)
    return found


def owner_of(status: os.stat_result) -> Owner:
    """Return user and group of a file, with the names that this machine has for them."""
    return Owner(
        status.st_uid,
        status.st_gid,
        _name(lambda: pwd.getpwuid(status.st_uid).pw_name),
        _name(lambda: grp.getgrgid(status.st_gid).gr_name),
    )


def _name(look_up: Callable[[], str]) -> str:
    try:
        return look_up()
    except KeyError:
        return ""


def _add_folder(found: Contents, name: str, path: Path, is_foreign: Callable[[Path], bool]) -> None:
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    status = path.stat()
    found.folders.append(Folder(name, stat.S_IMODE(status.st_mode) & 0o777, owner_of(status)))
    for entry in entries:
        inner, inner_name = Path(entry.path), f"{name}/{entry.name}"
        if is_foreign(inner) or stays(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            _add_folder(found, inner_name, inner, is_foreign)
        elif not entry.is_file(follow_symlinks=False):
            found.skipped.append(inner)
        elif is_copied(entry.name):
            _add_file(found, inner_name, inner)


def _add_file(found: Contents, name: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            is_database = file.read(len(_DATABASE)) == _DATABASE
    except FileNotFoundError:
        # Replaced or removed meanwhile.
        return
    found.sources.append(Source(name, path, size, is_database))
