"""Staging of a restore: unpacks an archive beside what it is to replace, and replaces it as one.

Each folder's files are unpacked into a hidden folder within it, so that they move by a rename. A
journal comes after the last of them; see `bus.files.staged_moves`.
"""

import datetime as dt
import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

from bus.files import staged_moves, whole_file
from bus.files.private_file import DIRECTORY_MODE, MODE, make_directory
from bus.files.staged_moves import STAGING_NAME, Replacement
from harvester.backup.archive_file import ArchiveFile
from harvester.backup.errors import BackupFailedError
from harvester.backup.manifest import Folder, Owner, Part
from harvester.backup.places import ASIDE_NAME, Place, Places, stays
from harvester.backup.progress import Progress


class Staging:
    """One restore into `places`, of the parts that have a place there."""

    def __init__(self, archive: ArchiveFile, places: Places, now: dt.datetime) -> None:
        self._archive = archive
        self._places = places
        self._stamp = _new_stamp(places, f"{ASIDE_NAME}-{now:%Y%m%d-%H%M%S}")
        manifest = archive.manifest
        self.parts = [part for part in manifest.parts if places.of_part(part.name)]
        self.homeless = [part.name for part in manifest.parts if not places.of_part(part.name)]
        self._folders = sorted(
            (one for one in manifest.folders if places.of_part(one.name)), key=lambda one: one.name
        )

    def unpack(self, edit: Callable[[Path], None], edited: Callable[[str], bool]) -> None:
        """Unpack and bring to the disk; `edit` may change the file of each part that is `edited`.

        Raises BackupFailedError or BadArchiveError, with nothing replaced.
        """
        progress = Progress(self._archive.total_bytes)
        try:
            self.discard()
            for folder in self._folders:
                self._make_folder(folder)
            for part in self.parts:
                progress.show(f"unpacking {part.name}", 0.0, part.bytes)
                self._unpack(part)
                if edited(part.name):
                    edit(self._staged(part.name))
                self._give(self._staged(part.name), part.owner, part.mode)
                progress.finish_part(part.bytes)
            # Last, as a folder may be one that its owner may not write.
            for folder in reversed(self._folders):
                self._give(self._staged(folder.name), folder.owner, folder.mode)
        except OSError as e:
            raise BackupFailedError(f"{e.filename or self._archive.path}: {e.strerror}") from e
        finally:
            progress.clear()

    def replace(self) -> list[Path]:
        """Let what is staged take its place; return where the former files are now.

        From the journal on, a kill does not undo it.
        """
        replacements = list(self._replacements())
        for one in replacements:
            if one.aside:
                self._make_aside(Path(one.aside))
        staged_moves.commit(self._places.state_dir, replacements)
        staged_moves.finish(self._places.state_dir)
        self.discard()
        asides = {Path(one.aside) for one in replacements if one.aside}
        return sorted({path.parent if self._is_in_folder(path) else path for path in asides})

    def discard(self) -> None:
        """Remove what was unpacked and is not in place. Raises OSError."""
        for place in self._places.every:
            if place.is_folder:
                staged_moves.discard(place.path)
            else:
                _single(place).unlink(missing_ok=True)

    def _staged(self, name: str) -> Path:
        """Return where a part or a folder is unpacked."""
        place = self._places.of_part(name)
        if place is None:
            raise BackupFailedError(f"{name}: found no place for it")
        if not place.is_folder:
            return _single(place)
        return place.path / STAGING_NAME / "files" / name[len(place.name) + 1 :]

    def _make_folder(self, folder: Folder) -> None:
        path = self._staged(folder.name)
        place = self._places.of_part(folder.name)
        if place is not None and place.name == folder.name and not place.path.is_dir():
            make_directory(place.path)
            self._give(place.path, folder.owner, folder.mode)
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)

    def _unpack(self, part: Part) -> None:
        path = self._staged(part.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, MODE), "wb") as file:
            for chunk in self._archive.chunks(part):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        whole_file.sync_folder(path.parent)

    def _give(self, path: Path, owner: Owner, mode: int) -> None:
        """Set owner and mode; only root can give a file away."""
        if os.geteuid() == 0:
            os.chown(path, *_ids(owner, self._places.state_dir))
        path.chmod(mode)

    def _replacements(self) -> Iterator[Replacement]:
        for place in self._places.every:
            if place.is_folder:
                yield from self._of_folder(place)
            elif _single(place).exists():
                aside = _single_aside(place, self._stamp)
                there = os.path.lexists(place.path)
                yield Replacement(str(place.path), str(_single(place)), str(aside) if there else "")

    def _of_folder(self, place: Place) -> Iterator[Replacement]:
        staged = place.path / STAGING_NAME / "files"
        new = {path.name for path in staged.iterdir()} if staged.is_dir() else set()
        old = {
            path.name
            for path in (place.path.iterdir() if place.path.is_dir() else ())
            if not stays(path.name) and not self._places.is_foreign(place, path)
        }
        for name in sorted(new | old):
            yield Replacement(
                str(place.path / name),
                str(staged / name) if name in new else "",
                str(place.path / self._stamp / name) if name in old else "",
            )

    def _make_aside(self, path: Path) -> None:
        if self._is_in_folder(path):
            make_directory(path.parent)

    def _is_in_folder(self, aside: Path) -> bool:
        return aside.parent.name == self._stamp


def _single(place: Place) -> Path:
    """Return where the only file of a place is unpacked."""
    return place.path.with_name(f".{place.path.name}{STAGING_NAME}")


def _new_stamp(places: Places, wanted: str) -> str:
    """Return a name that no earlier restore gave to what it put aside."""
    stamp, count = wanted, 1
    while any(_is_taken(place, stamp) for place in places.every):
        count += 1
        stamp = f"{wanted}-{count}"
    return stamp


def _is_taken(place: Place, stamp: str) -> bool:
    aside = place.path / stamp if place.is_folder else _single_aside(place, stamp)
    return os.path.lexists(aside)


def _single_aside(place: Place, stamp: str) -> Path:
    return place.path.with_name(f"{place.path.name}.{stamp}")


def _ids(owner: Owner, folder: Path) -> tuple[int, int]:
    """Return user and group by name; of a user that is not here, those of the state directory."""
    status = folder.stat()
    try:
        uid = pwd.getpwnam(owner.user).pw_uid if owner.user else owner.uid
    except KeyError:
        uid = status.st_uid
    try:
        gid = grp.getgrnam(owner.group).gr_gid if owner.group else owner.gid
    except KeyError:
        gid = status.st_gid
    return uid, gid
