"""Reading the nodes' files: what was measured, what is in an outbox, what is in the history."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from tests.chaos.truth import Measured, Row

# Beside its writer, who may be dead.
_BUSY_S = 2.0


class _Event(msgspec.Struct):
    timestamp_ms: int
    event: str
    device: str = ""
    gas_ohm: float | None = None
    age_s: float = 0.0

    @property
    def is_reading(self) -> bool:
        """Whether a plugin that gets this has a reading.

        After a reset a BME680 is asked for the temperature alone first, which its heater needs.
        """
        is_partial = self.device.startswith("bme680") and self.gas_ohm is None
        return self.event == "measurement" and not is_partial


_DECODER = msgspec.json.Decoder(_Event)


def measured(node: str, record: Path) -> list[Measured]:
    """Return what the simulated chips of a node measured."""
    events = (_DECODER.decode(line) for line in record.read_bytes().splitlines() if line)
    return [
        Measured(node, e.device, e.timestamp_ms, e.timestamp_ms - round(e.age_s * 1000))
        for e in events
        if e.is_reading
    ]


def of_history(path: Path) -> list[Row]:
    """Return every reading in the hub's history; none where the file cannot be read."""
    return _read(path, "SELECT node, sensor, timestamp_ms, stream, seq FROM readings")


def of_outbox(node: str, path: Path) -> list[Row]:
    """Return every reading that waits in an outbox file; none where it cannot be read."""
    query = (
        "SELECT ?, sensor, timestamp_ms, name, seq FROM reading JOIN stream ON stream = stream.id"
    )
    return _read(path, query, node)


def latest_ms(path: Path) -> dict[str, int]:
    """Return when the newest reading of each node in the history was taken."""
    query = "SELECT node, max(timestamp_ms) FROM readings GROUP BY node"
    with closing(_open(path)) as connection:
        try:
            return dict(connection.execute(query))
        except sqlite3.DatabaseError:
            return {}


def _read(path: Path, query: str, *parameters: str) -> list[Row]:
    with closing(_open(path)) as connection:
        try:
            return [Row(*found) for found in connection.execute(query, parameters)]
        except sqlite3.DatabaseError:
            return []


def _open(path: Path) -> sqlite3.Connection:
    # Nothing is made where there is no file; that its tables are missing then is an error, too.
    if not path.exists():
        return sqlite3.connect(":memory:")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_BUSY_S)
