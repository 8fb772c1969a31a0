"""Entry in a restored history: of the time after the backup, nodes have nothing left to send."""

import contextlib
import sqlite3
from pathlib import Path

from harvester.backup.errors import BadArchiveError
from hub_app.history.events import RESTORED, Event
from hub_app.history.schema import open_history


def note_restore(path: Path, node: str, backup_ms: int, now_ms: int) -> None:
    """Add the event of the restore to the history at `path`, brought to the present version.

    `node` is the hub's own. Raises BadArchiveError where the file is no history.
    """
    event = Event(node, now_ms, RESTORED, "", str(backup_ms))
    try:
        _check(path)
        with contextlib.closing(open_history(path)) as db:
            db.execute("INSERT OR IGNORE INTO node (name) VALUES (?)", (event.node,))
            db.execute(
                "INSERT INTO event SELECT node.id, ?, (SELECT coalesce(max(id), 0) + 1 FROM event),"
                " ?, ?, ? FROM node WHERE name = ?",
                (event.at_ms, event.kind, event.subject, event.detail, event.node),
            )
            # One file, which moves by one rename.
            db.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as e:
        raise BadArchiveError(f"the history in the backup cannot be used: {e}") from e


def _check(path: Path) -> None:
    """Raise BadArchiveError where the file was damaged already when it was backed up."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise BadArchiveError(f"the history in the backup is damaged: {verdict}")
