"""Nightly backups: one file a night in a folder of their own, of which the newest are kept."""

import datetime as dt
import re
from pathlib import Path

import msgspec

from bus.clock import now_ms
from bus.errors import HarvesterError
from bus.files import backup_record
from bus.files.private_file import make_directory
from harvester.backup.errors import BackupFailedError

_STAMP = r"\d{8}-\d{6}"


def new_file(folder: Path, node: str, now: dt.datetime) -> Path:
    """Return the path of the next backup; its folder is made. Raises BackupFailedError."""
    try:
        make_directory(folder)
    except OSError as e:
        raise BackupFailedError(f"{folder}: {e.strerror}; expected a writable folder") from e
    return folder / f"harvester-{node}-{now:%Y%m%d-%H%M%S}.zip"


def prune(newest: Path, node: str, keep: int) -> list[Path]:
    """Remove the oldest backups of `node` beside `newest`, which stays; return what was removed.

    Raises BackupFailedError.
    """
    pattern = re.compile(rf"harvester-{re.escape(node)}-{_STAMP}\.zip")
    others = sorted(
        path
        for path in newest.parent.iterdir()
        if pattern.fullmatch(path.name) and path.name != newest.name
    )
    removed = others[: max(0, len(others) - (keep - 1))]
    try:
        for path in removed:
            path.unlink(missing_ok=True)
    except OSError as e:
        raise BackupFailedError(f"{e.filename}: {e.strerror}") from e
    return removed


def note_attempt(state_dir: Path) -> None:
    """Note that nightly backups are made, from the first attempt on."""
    record = backup_record.load(state_dir)
    if not record.nightly_since_ms:
        backup_record.save(state_dir, msgspec.structs.replace(record, nightly_since_ms=now_ms()))


def note_failure(state_dir: Path, error: HarvesterError) -> None:
    record = backup_record.load(state_dir)
    backup_record.save(state_dir, msgspec.structs.replace(record, fault=str(error)))


def note_success(state_dir: Path, file: Path, size_bytes: int, *, is_nightly: bool) -> None:
    """Note the last backup, for the hub's page, its metrics and its alarm."""
    record = backup_record.load(state_dir)
    at_ms = now_ms()
    record = msgspec.structs.replace(
        record, last_ms=at_ms, last_bytes=size_bytes, file=str(file.absolute())
    )
    if is_nightly:
        record = msgspec.structs.replace(record, nightly_ms=at_ms, fault="")
    backup_record.save(state_dir, record)
