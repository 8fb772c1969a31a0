"""Log file: lines of all nodes in SQLite, bounded by age and by size, with filters and paging.

Lines are numbered and dated as they arrive, so a node with a wrong clock is in order.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

import msgspec

from bus.contract.messages import LogLevel
from bus.files.database import Schema, open_database, transaction

FILE_NAME = "logs.db"
# What a line costs beside its texts, roughly: its row and two entries of indexes.
_OVERHEAD_BYTES = 60
_DELETED_AT_ONCE = 1000
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_CACHE_KB = 2000

# `level` is a rank: 0 is debug.
SCHEMA = Schema("""
CREATE TABLE node (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE line (
    id INTEGER PRIMARY KEY AUTOINCREMENT, node INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, level INTEGER NOT NULL, source TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX line_of_node ON line (node, id);
CREATE INDEX line_at ON line (at_ms);
CREATE VIEW lines AS
    SELECT datetime(at_ms / 1000, 'unixepoch') AS at, node.name AS node, level, source, message
    FROM line JOIN node ON node.id = line.node;
""")
VERSION = SCHEMA.version


class LogLine(msgspec.Struct, frozen=True):
    """A log line of a node; `at_ms` is when it arrived, by the hub's clock."""

    node: str
    at_ms: int
    timestamp_ms: int
    level: LogLevel
    source: str
    message: str
    # Position in the file, 0 for none yet.
    id: int = 0


class LogQuery(msgspec.Struct, frozen=True):
    """Filters of lines; each that is empty or None lets everything pass.

    `level` is the least; `source` and `text` may be anywhere in the line's, in either case.
    """

    limit: int
    node: str = ""
    level: str = LEVELS[0]
    source: str = ""
    text: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    # Only lines before the one with this id: the page before another one.
    before: int | None = None


class LogFile:
    """The only writer of the file at `path`, used by one thread.

    Lines older than `longest_ms` are deleted; above `most_bytes`, the oldest of the node that has
    most.
    """

    def __init__(self, path: Path, longest_ms: int, most_bytes: int) -> None:
        self._db = open_database(path, SCHEMA, synchronous="FULL")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        self._longest_ms = longest_ms
        self._most_bytes = most_bytes
        self._nodes: dict[str, int] = dict(self._db.execute("SELECT name, id FROM node"))
        sizes = self._db.execute(
            "SELECT node, sum(length(source) + length(message) + ?) FROM line GROUP BY node",
            (_OVERHEAD_BYTES,),
        )
        self._bytes = Counter(dict(sizes))

    def close(self) -> None:
        self._db.close()

    def add(self, lines: Iterable[LogLine]) -> None:
        """Store lines in one commit. Raises sqlite3.Error; this object is then unusable."""
        with transaction(self._db):
            for line in lines:
                self._insert(line)

    def expire(self, now_ms: int) -> None:
        """Delete some lines that are too old or too many."""
        oldest_ms = now_ms - self._longest_ms
        with transaction(self._db):
            self._delete("at_ms < ? ORDER BY at_ms LIMIT ?", (oldest_ms, _DELETED_AT_ONCE))
        while self._bytes.total() > self._most_bytes:
            ((node, _),) = self._bytes.most_common(1)
            with transaction(self._db):
                self._delete("node = ? ORDER BY id LIMIT ?", (node, _DELETED_AT_ONCE))

    def forget(self, node: str) -> None:
        """Delete every line of a node."""
        with transaction(self._db):
            self._delete("node = ?", (self._nodes.pop(node, 0),))
            self._db.execute("DELETE FROM node WHERE name = ?", (node,))

    def _insert(self, line: LogLine) -> None:
        if line.node not in self._nodes:
            cursor = self._db.execute("INSERT INTO node (name) VALUES (?)", (line.node,))
            self._nodes[line.node] = int(cursor.lastrowid or 0)
        node = self._nodes[line.node]
        self._db.execute(
            "INSERT INTO line (node, at_ms, timestamp_ms, level, source, message)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(node, line.at_ms, line.timestamp_ms, LEVELS.index(line.level)),
                *(line.source, line.message),
            ),
        )
        self._bytes[node] += len(line.source) + len(line.message) + _OVERHEAD_BYTES

    def _delete(self, condition: str, values: tuple[int, ...]) -> None:
        """Delete lines within a transaction. `condition` is one of this module's own."""
        found = self._db.execute(
            f"SELECT id, node, length(source) + length(message) FROM line WHERE {condition}",  # noqa: S608
            values,
        ).fetchall()
        self._db.executemany("DELETE FROM line WHERE id = ?", [row[:1] for row in found])
        for _, node, chars in found:
            self._bytes[node] -= chars + _OVERHEAD_BYTES
        self._bytes += Counter()


def read(path: Path, query: LogQuery) -> list[LogLine]:
    """Return the newest lines that pass the filters, the newest last. For any thread.

    Raises sqlite3.Error.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        db.create_function("folded", 1, _folded, deterministic=True)
        conditions = list(_conditions(query))
        where = " AND ".join(text for text, _ in conditions) or "1"
        values = [value for _, value in conditions]
        rows = db.execute(
            "SELECT node.name, at_ms, timestamp_ms, level, source, message, line.id FROM line"  # noqa: S608 - constants
            f" JOIN node ON node.id = line.node WHERE {where} ORDER BY line.id DESC LIMIT ?",
            (*values, query.limit),
        ).fetchall()
    finally:
        db.close()
    return [
        LogLine(node, at_ms, timestamp_ms, LEVELS[level], *rest)
        for node, at_ms, timestamp_ms, level, *rest in reversed(rows)
    ]


def _folded(text: str) -> str:
    return text.casefold()


def _conditions(query: LogQuery) -> Iterator[tuple[str, str | int]]:
    if query.node:
        yield "line.node = (SELECT id FROM node WHERE name = ?)", query.node
    if query.level != LEVELS[0]:
        yield "level >= ?", LEVELS.index(query.level)
    if query.from_ms is not None:
        yield "at_ms >= ?", query.from_ms
    if query.to_ms is not None:
        yield "at_ms < ?", query.to_ms
    if query.before is not None:
        yield "line.id < ?", query.before
    if query.source:
        yield "instr(folded(source), ?) > 0", query.source.casefold()
    if query.text:
        yield "instr(folded(message), ?) > 0", query.text.casefold()
