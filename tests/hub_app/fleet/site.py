"""A site of a fleet in a test: a hub's history and its forwarder."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from bus.clock import now_ms
from bus.config.history_table import FleetConfig
from bus.contract.messages import Reading
from hub_app.alarms.rules import RuleBook
from hub_app.fleet.forward.forwarder import FleetForwarder, ForwarderTimes
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.support import wait_until

# Soon, so that a test waits for nothing.
TIMES = ForwarderTimes(0.1, 0.5, 0.1, 0.1, 0.1, 0.2, 60.0, 0.2)
_DAY_MS = 86_400_000
# A Wednesday at 11:00 UTC, and the same time of the week some days ago, whatever the day.
_WEDNESDAY_MS = 1_794_999_600_000
START = _WEDNESDAY_MS + (now_ms() - 8 * _DAY_MS - _WEDNESDAY_MS) // (7 * _DAY_MS) * 7 * _DAY_MS


def reading(seq: int, stamp: int | None = None, **keys: object) -> Reading:
    known = {"node": "pi4", "sensor_id": "room", "stream": "s", "plugin": "p"}
    known["data"] = {"t": float(seq), "up": True, "word": f"w{seq}"}  # type: ignore[assignment]
    stamp = START + seq * 2000 if stamp is None else stamp
    return msgspec.convert({**known, "timestamp_ms": stamp, "seq": seq, **keys}, Reading)


class Site:
    """A history in a folder with its writer, and its forwarder where it runs."""

    def __init__(self, folder: Path, url: str, name: str = "berlin") -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "history.db"
        self.settings = FleetConfig(url=url, site=name, interval_s=0.05)
        self.db = open_history(self.path)
        self.writer = Writer(self.db)
        self.rules = RuleBook()
        self.now_ms = START

    def store(self, readings: Sequence[Reading], **keys: Any) -> None:
        outcome = self.writer.store(
            [Arrival(each, False) for each in readings], keys.pop("events", []), self.now_ms, **keys
        )
        assert len(outcome.kept) == len(readings)

    def count(self) -> int:
        (count,) = self.db.execute("SELECT count(*) FROM every_reading").fetchone()
        return int(count)

    @contextlib.contextmanager
    def forwarding(self, times: ForwarderTimes = TIMES) -> Iterator[FleetForwarder]:
        forwarder = FleetForwarder(
            self.settings, self.path, times=times, rules=lambda: self.rules.every
        )
        forwarder.start()
        try:
            yield forwarder
        finally:
            forwarder.stop()

    def close(self) -> None:
        self.db.close()


def query(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, options="-c search_path=harvester") as db:
        return db.execute(statement.encode(), values or None).fetchall()


def stored(url: str) -> list[tuple[str, str, int]]:
    """Return node, stream and number of all readings in the fleet's database."""
    return query(
        url,
        "SELECT node.name, stream.name, seq FROM stored_reading AS r"
        " JOIN stream ON stream.id = r.stream JOIN node ON node.id = stream.node ORDER BY 1, 2, 3",
    )


def wait_for(url: str, count: int) -> None:
    def is_there() -> bool:
        try:
            return len(stored(url)) >= count
        except psycopg.Error:
            return False

    wait_until(is_there)
