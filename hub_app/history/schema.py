"""Schema of the history database. It knows no bus and no thread.

Names are stored once and stand elsewhere as ids; the view `readings` joins them, for use by hand.
"""

import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from bus.contract.messages import Value
from bus.files.database import Schema, open_database
from hub_app.alarms import records
from hub_app.history.query.sql_views import DROP_VIEWS, VIEWS

# The resolution after downsampling. A bucket is named by its first millisecond.
BUCKET_MS = 300_000

# Flags of a reading: its timestamp was repaired, is still to be repaired, it came in a backlog.
REDATED = 1
UNSET = 2
LATE = 4

# A commit every 2 s writes little more than the pages that it touches, so pages are small. Readings
# first go to the small table `newest`, where they overwrite older ones: no page is allocated or
# freed for them. Measured in bench/durability.py.
_PAGE_BYTES = 512
# Pages in the write-ahead log before a checkpoint, which copies each page once.
_CHECKPOINT_PAGES = 8000
_CACHE_KB = 8000

# A stream's id stands for (node, stream), so the primary key of a reading is (node, stream, seq).
# `newest`: the latest readings; those up to the `arrival` in `moved` are in `reading`, too.
# `span`: the range of `seq` in `reading` that a sensor has in a bucket; `folded`: downsampled.
# `unset`: readings of a boot whose clock was not set yet, with its offset then, and `behind_ms`,
# by how much it was behind the hub's clock.
_TABLES = """
CREATE TABLE node (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE stream (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (node, name)
);
CREATE TABLE sensor (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, name TEXT NOT NULL,
    plugin TEXT NOT NULL DEFAULT '', UNIQUE (node, name)
);
CREATE TABLE shape (id INTEGER PRIMARY KEY, fields TEXT NOT NULL UNIQUE);
CREATE TABLE sensor_shape (
    sensor INTEGER NOT NULL, shape INTEGER NOT NULL, PRIMARY KEY (sensor, shape)
) WITHOUT ROWID;
CREATE TABLE field (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE reading (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, sensor INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, flags INTEGER NOT NULL, shape INTEGER NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE newest (
    slot INTEGER PRIMARY KEY, arrival INTEGER NOT NULL,
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, sensor INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL, flags INTEGER NOT NULL, shape INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE TABLE moved (id INTEGER PRIMARY KEY CHECK (id = 1), arrival INTEGER NOT NULL);
INSERT OR IGNORE INTO moved VALUES (1, 0);
CREATE VIEW unmoved AS
    SELECT * FROM newest WHERE arrival > (SELECT arrival FROM moved);
CREATE TABLE span (
    sensor INTEGER NOT NULL, bucket_ms INTEGER NOT NULL, stream INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, folded INTEGER NOT NULL DEFAULT 0,
    count INTEGER NOT NULL DEFAULT 0, late INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sensor, bucket_ms, stream)
) WITHOUT ROWID;
CREATE INDEX unfolded ON span (bucket_ms) WHERE folded = 0;
CREATE TABLE mean (
    sensor INTEGER NOT NULL, field INTEGER NOT NULL, bucket_ms INTEGER NOT NULL,
    count INTEGER NOT NULL, mean REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    PRIMARY KEY (sensor, field, bucket_ms)
) WITHOUT ROWID;
CREATE TABLE event (
    node INTEGER NOT NULL, at_ms INTEGER NOT NULL, id INTEGER NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (node, at_ms, id)
) WITHOUT ROWID;
CREATE TABLE boot (
    node INTEGER NOT NULL, boot_id TEXT NOT NULL, offset_ms INTEGER NOT NULL,
    PRIMARY KEY (node, boot_id)
) WITHOUT ROWID;
CREATE TABLE unset (
    node INTEGER NOT NULL, boot_id TEXT NOT NULL, stream INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, offset_ms INTEGER NOT NULL,
    behind_ms INTEGER NOT NULL, PRIMARY KEY (node, boot_id, stream)
) WITHOUT ROWID;
CREATE VIEW every_reading AS
    SELECT stream, seq, sensor, timestamp_ms, flags, shape, data FROM reading UNION ALL
    SELECT stream, seq, sensor, timestamp_ms, flags, shape, data FROM unmoved;
CREATE VIEW readings AS
    SELECT node.name AS node, stream.name AS stream, seq, sensor.name AS sensor, timestamp_ms,
           flags & 1 > 0 AS redated, flags & 4 > 0 AS late, shape.fields AS fields,
           hex(data) AS data
    FROM every_reading AS kept
    JOIN stream ON stream.id = kept.stream JOIN node ON node.id = stream.node
    JOIN sensor ON sensor.id = kept.sensor JOIN shape ON shape.id = kept.shape;
"""
# For those who read along with the writer: a forwarder to the database of a fleet.
_INDEXES = """
CREATE INDEX IF NOT EXISTS event_id ON event (id);
"""
# When a reading of each sensor last arrived, by the hub's clock.
_ARRIVED = (
    "CREATE TABLE IF NOT EXISTS arrived (sensor INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);"
)
# Older files do not tell: their sensors count as heard when the file is migrated.
_FILL_ARRIVED = """
INSERT OR IGNORE INTO arrived SELECT id, CAST(strftime('%s', 'now') AS INTEGER) * 1000 FROM sensor;
"""
# Names this history for ever, also in its backups.
_IDENTITY = """
CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL);
INSERT OR IGNORE INTO identity VALUES (1, lower(hex(randomblob(16))));
"""
SCHEMA = Schema(
    _TABLES + records.TABLE + _INDEXES + VIEWS + _ARRIVED + _IDENTITY,
    migrations=(
        *(records.TABLE, _INDEXES, VIEWS),
        *(DROP_VIEWS + VIEWS + _ARRIVED + _FILL_ARRIVED, _IDENTITY),
        DROP_VIEWS + VIEWS,
    ),
)
VERSION = SCHEMA.version

_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(list[Value])


def open_history(path: Path) -> sqlite3.Connection:
    """Open the history for writing; see `bus.files.database.open_database`."""
    db = open_database(path, SCHEMA, synchronous="FULL", page_bytes=_PAGE_BYTES)
    db.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    db.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the history read-only. Raises sqlite3.OperationalError where there is none."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    db.execute("PRAGMA query_only=1")
    return db


def bucket_of(timestamp_ms: int) -> int:
    return timestamp_ms - timestamp_ms % BUCKET_MS


def pack(data: dict[str, Value]) -> tuple[str, bytes]:
    """Return the field names of a reading as JSON, and its values. Raises OverflowError."""
    return _names_as_json(tuple(data)), _PACK.encode(list(data.values()))


@lru_cache(1024)
def _names_as_json(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(names).decode()


def unpack(data: bytes) -> list[Value]:
    return _UNPACK.decode(data)


def fields_of(shape: str) -> list[str]:
    fields: list[Any] = msgspec.json.decode(shape)
    return fields
