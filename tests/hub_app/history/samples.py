"""Readings of one sensor, `room` of `pi4`, and what tests do with a history database."""

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading
from hub_app.history.query.series import SeriesQuery
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.writer import Arrival, Writer

START = 1_795_000_200_000
DAY = 86_400_000


def reading(seq: int, stamp: int | None = None, stream: str = "s", **keys: object) -> Reading:
    known = {"data": {"t": float(seq), "up": True, "text": "x"}, "plugin": "p", **keys}
    stamp = START + seq * 2000 if stamp is None else stamp
    return msgspec.convert(
        {"node": "pi4", "sensor_id": "room", "timestamp_ms": stamp, "stream": stream, "seq": seq}
        | known,
        Reading,
    )


def fill(db: sqlite3.Connection, first: int, last: int) -> None:
    arrivals = [Arrival(reading(n), False) for n in range(first, last)]
    Writer(db).store(arrivals, [], START + last * 2000)


def downsample(db: sqlite3.Connection, now: int, **keys: float) -> None:
    housekeeping = Housekeeping(db, HistoryConfig(**keys))  # type: ignore[arg-type]
    while housekeeping.step(now, now):
        pass


def query(field: str, from_ms: int, to_ms: int, points: int = 500) -> SeriesQuery:
    return SeriesQuery("pi4", "room", field, from_ms, to_ms, points)


def rows(path: Path) -> list[tuple[str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT stream, seq FROM readings ORDER BY stream, seq").fetchall()
