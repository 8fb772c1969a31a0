"""Staged moves: replace many files as one, with a journal that a kill at any moment leaves usable.

Until the journal is there, nothing is replaced; from then on, `finish` does what is left, however
often it is called.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.files import private_file, whole_file

# Folder of the journal and of staged files, within the folder that it is about.
STAGING_NAME = ".restore"
_JOURNAL_NAME = "journal.json"


class Replacement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file or folder: what is at `place` goes `aside`, and what is `staged` takes its place.

    `aside` is empty where nothing was there, `staged` where nothing follows.
    """

    place: str
    staged: str = ""
    aside: str = ""


class UnfinishedRestoreError(MisconfiguredError):
    """A restore that was interrupted cannot be finished by this user."""


def commit(folder: Path, replacements: Sequence[Replacement]) -> None:
    """Write the journal: what is staged is sure to take its place. Raises MisconfiguredError."""
    private_file.write(_journal(folder), msgspec.json.encode(list(replacements)))


def pending(folder: Path) -> list[Replacement]:
    """Return what the journal says; nothing where none is there. Raises MisconfiguredError."""
    path = _journal(folder)
    try:
        return msgspec.json.decode(private_file.read(path), type=list[Replacement])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as e:
        raise MisconfiguredError(f"{path}: found no journal: {e}; remove it") from e


def finish(folder: Path) -> list[Replacement]:
    """Do what is left of a journal and remove it; return what was done now.

    Raises UnfinishedRestoreError where a file cannot be moved.
    """
    replacements = pending(folder)
    try:
        done = [each for each in replacements if _replace(each)]
        for parent in {Path(each.place).parent for each in replacements}:
            whole_file.sync_folder(parent)
        _journal(folder).unlink(missing_ok=True)
        discard(folder)
    except OSError as e:
        raise UnfinishedRestoreError(
            f"{e.filename or folder}: {e.strerror}; a restore was interrupted: finish it with "
            "`sudo harvester restore` and the hub's configuration"
        ) from e
    return done


def discard(folder: Path) -> None:
    """Remove what is staged and was never committed. Raises OSError."""
    staging = folder / STAGING_NAME
    if staging.is_dir():
        shutil.rmtree(staging)


def _journal(folder: Path) -> Path:
    return folder / STAGING_NAME / _JOURNAL_NAME


def _replace(one: Replacement) -> bool:
    """Move both files that are not moved yet; return whether there was one."""
    moved = False
    if one.aside and os.path.lexists(one.place) and not os.path.lexists(one.aside):
        _put_aside(one)
        moved = True
    if one.staged and os.path.lexists(one.staged):
        Path(one.staged).rename(one.place)
        moved = True
    return moved


def _put_aside(one: Replacement) -> None:
    """Move a file or folder aside. A file that another one follows is never missing meanwhile."""
    place = Path(one.place)
    if one.staged and place.is_file() and not place.is_symlink():
        # Not every file system has hard links.
        with contextlib.suppress(OSError):
            os.link(place, one.aside)
            return
    place.rename(one.aside)
