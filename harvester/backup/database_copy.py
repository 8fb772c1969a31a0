"""Copy of an SQLite database that another process is writing to, by SQLite's own backup interface.

The copy is made in steps of some pages, of one snapshot: the write-ahead log lets the other process
commit at any time meanwhile.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from harvester.backup.errors import BackupFailedError

_BUSY_S = 30.0
_STEP_BYTES = 512 * 1024

# Takes the part that is copied, 0 to 1.
OnProgress = Callable[[float], None]


def copy_database(source: Path, target: Path, on_progress: OnProgress, clean: str = "") -> int:
    """Copy `source` to the new file `target`; return the version of its tables.

    `clean` is executed on the copy. Raises BackupFailedError.
    """
    try:
        with (
            contextlib.closing(_open_snapshot(source)) as read,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as written,
        ):
            # A backup that is interrupted leaves no archive, so nothing here is made durable.
            written.execute("PRAGMA synchronous=OFF")
            _copy(read, written, on_progress)
            # One file, without a log beside it.
            written.execute("PRAGMA journal_mode=DELETE")
            if clean:
                written.execute(clean)
            (version,) = written.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as e:
        raise BackupFailedError(f"{source} cannot be copied: {e}") from e
    return int(version)


def _open_snapshot(path: Path) -> sqlite3.Connection:
    """Open a database as it is now. Without the transaction, each commit would begin it anew."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)
    try:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _copy(read: sqlite3.Connection, written: sqlite3.Connection, on_progress: OnProgress) -> None:
    (page_bytes,) = read.execute("PRAGMA page_size").fetchone()

    def progress(_status: int, remaining: int, total: int) -> None:
        on_progress(1.0 - remaining / total if total else 1.0)

    read.backup(written, pages=max(1, _STEP_BYTES // page_bytes), progress=progress)
