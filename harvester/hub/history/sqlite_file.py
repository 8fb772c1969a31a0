"""SQLite file of an export: a table with a row for each value, and a view for each sensor."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from hub_app.history.query.export import ExportQuery, SensorWindow, windows
from hub_app.history.query.lookup import SensorFields
from hub_app.history.schema import open_for_reading
from hub_app.http.formats.export_rows import ExportRow, SensorWords, rows_of

# An area and a unit are not in the history.
_COLUMNS = tuple(name for name in ExportRow.__struct_fields__ if name not in {"area", "unit"})
_TABLE = """
CREATE TABLE reading_values (
    time TEXT NOT NULL, timestamp_ms INTEGER NOT NULL, sensor TEXT NOT NULL, field TEXT NOT NULL,
    value REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL, count INTEGER NOT NULL,
    resolution_s INTEGER NOT NULL, reading INTEGER NOT NULL
)
"""


def write_sqlite(
    target: Path, history: Path, query: ExportQuery, sensors: dict[str, SensorFields]
) -> None:
    """Write the values to the new file `target`; one window of the history is in memory.

    Raises sqlite3.Error where the history cannot be read, MisconfiguredError where the file cannot
    be written.
    """
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as db:
            db.execute(_TABLE)
            _fill(db, history, query, sensors)
            db.execute("CREATE INDEX by_sensor ON reading_values (sensor, timestamp_ms)")
            for name, sensor in sensors.items():
                db.execute(_wide_view(name, sensor.fields))
    except sqlite3.OperationalError as e:
        raise MisconfiguredError(f"{target}: {e}; expected a file that can be written") from e


def _fill(
    db: sqlite3.Connection, history: Path, query: ExportQuery, sensors: dict[str, SensorFields]
) -> None:
    marks = ", ".join("?" * (len(_COLUMNS) + 1))
    numbers = itertools.count()
    with closing(open_for_reading(history)) as source:
        for window in windows(source, sensors, query.from_ms, query.to_ms):
            db.execute("BEGIN")
            db.executemany(
                f"INSERT INTO reading_values VALUES ({marks})",  # noqa: S608 - question marks
                _numbered(window, numbers),
            )
            db.execute("COMMIT")


def _numbered(window: SensorWindow, numbers: Iterator[int]) -> Iterator[list[object]]:
    """Yield the columns of each value, the last of which is the number of its reading."""
    words = SensorWords("", dict.fromkeys(window.fields, ""))
    for one, number in zip(window.rows, numbers, strict=False):
        for value in rows_of(msgspec.structs.replace(window, rows=[one]), words):
            row = msgspec.structs.asdict(value)
            yield [*(row[name] for name in _COLUMNS), number]


def _wide_view(sensor: str, fields: list[str]) -> str:
    """Return the statement of a view with a column for each field, as spreadsheets have it."""
    columns = "".join(
        f", max(value) FILTER (WHERE field = {_literal(field)}) AS {_identifier(field)}"
        for field in fields
        if field.lower() not in {"time", "timestamp_ms"}
    )
    return (
        f"CREATE VIEW {_identifier(sensor)} AS SELECT time, timestamp_ms{columns}"  # noqa: S608
        f" FROM reading_values WHERE sensor = {_literal(sensor)}"
        " GROUP BY timestamp_ms, reading"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
