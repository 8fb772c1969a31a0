"""Alarms in the history: one row each, with its begin and its end. It knows no thread."""

import sqlite3
from collections.abc import Callable, Collection

import msgspec

from bus.contract.messages import Severity
from bus.files.database import transaction
from hub_app.alarms.engine import Active, Key

# Of one node; the oldest go first. A year of an alarm an hour is 8760.
MAX_ROWS_PER_NODE = 10_000

# `bound` is the limit of the rule; `worst` is the value farthest beyond it.
TABLE = """
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, name TEXT NOT NULL, begin_ms INTEGER NOT NULL,
    end_ms INTEGER, rule TEXT NOT NULL, sensor TEXT NOT NULL, field TEXT NOT NULL,
    severity TEXT NOT NULL, text TEXT NOT NULL, value REAL, worst REAL, bound REAL,
    acknowledged_ms INTEGER NOT NULL, acknowledged_by TEXT NOT NULL,
    UNIQUE (node, name, begin_ms)
);
CREATE INDEX alarm_begin ON alarm (begin_ms);
"""
_UPSERT = """
INSERT INTO alarm (node, name, begin_ms, end_ms, rule, sensor, field, severity, text, value, worst,
    bound, acknowledged_ms, acknowledged_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET end_ms = excluded.end_ms, severity = excluded.severity,
    text = excluded.text, worst = excluded.worst, bound = excluded.bound,
    acknowledged_ms = excluded.acknowledged_ms, acknowledged_by = excluded.acknowledged_by
"""


class Record(msgspec.Struct, frozen=True):
    """An alarm to store; `end_ms` is None while it is active."""

    alarm: Active
    end_ms: int | None = None


class Past(msgspec.Struct, frozen=True):
    """An alarm of the history, `value` being the one that it began with."""

    node: str
    name: str
    rule: str
    severity: Severity
    text: str
    sensor: str
    field: str
    begin_ms: int
    end_ms: int
    value: float | None
    worst: float | None
    limit: float | None
    acknowledged_ms: int
    acknowledged_by: str


class PastQuery(msgspec.Struct, frozen=True):
    """Alarms that are over, began before `to_ms` and ended after `from_ms`; `node` may be empty."""

    from_ms: int
    to_ms: int
    limit: int
    node: str = ""


def write(db: sqlite3.Connection, node: int, record: Record) -> None:
    """Store the beginning of an alarm, or what has changed of it. Within a transaction."""
    alarm = record.alarm
    db.execute(
        _UPSERT,
        (
            *(node, alarm.name, alarm.since_ms, record.end_ms, alarm.rule, alarm.sensor),
            *(alarm.field, alarm.severity, alarm.text, alarm.value, alarm.worst, alarm.limit),
            *(alarm.acknowledged_ms, alarm.acknowledged_by),
        ),
    )


def close_others(
    db: sqlite3.Connection, active: Callable[[], Collection[Key]], now_ms: int
) -> None:
    """End the alarms of the file that are not active: the hub was killed before it stored that."""
    keys = active()
    open_rows = db.execute(
        "SELECT alarm.id, node.name, alarm.name FROM alarm JOIN node ON node.id = alarm.node"
        " WHERE end_ms IS NULL"
    ).fetchall()
    with transaction(db):
        for number, node, name in open_rows:
            if (node, name) not in keys:
                db.execute("UPDATE alarm SET end_ms = ? WHERE id = ?", (now_ms, number))


def expire(db: sqlite3.Connection, node: int, oldest_ms: int) -> None:
    """Delete a node's alarms that ended before `oldest_ms`, and the oldest of too many."""
    db.execute("DELETE FROM alarm WHERE node = ? AND end_ms < ?", (node, oldest_ms))
    db.execute(
        "DELETE FROM alarm WHERE node = ? AND id <= (SELECT id FROM alarm WHERE node = ?"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (node, node, MAX_ROWS_PER_NODE),
    )


def read(db: sqlite3.Connection, query: PastQuery) -> list[Past]:
    """Return the alarms of the history that are asked for, the newest first."""
    rows = db.execute(
        "SELECT node.name, alarm.name, rule, severity, text, sensor, field, begin_ms, end_ms,"
        " value, worst, bound, acknowledged_ms, acknowledged_by"
        " FROM alarm JOIN node ON node.id = alarm.node"
        " WHERE begin_ms < ? AND end_ms >= ? AND (? = '' OR node.name = ?)"
        " AND substr(node.name, 1, 1) != '-' ORDER BY begin_ms DESC, alarm.id DESC LIMIT ?",
        (*(query.to_ms, query.from_ms, query.node, query.node, query.limit),),
    )
    return [Past(*row) for row in rows]
