"""Integer ids of the names in the history, so that each name is stored once."""

import sqlite3
from typing import Any

import msgspec

from bus.contract.messages import Reading

# Entries of a cache, beyond which it begins anew; they can be read again.
_MAX_CACHED = 20_000
_MAX_SOURCES = 100_000


def id_of(db: sqlite3.Connection, table: str, **key: str | int) -> int:
    """Return the id of the row with `key`; insert the row where there is none."""
    columns, marks = ", ".join(key), ", ".join("?" * len(key))
    values = tuple(key.values())
    # Table and column names come from this program, never from the bus.
    db.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
    wanted = " AND ".join(f"{column} = ?" for column in key)
    (number,) = db.execute(f"SELECT id FROM {table} WHERE {wanted}", values).fetchone()  # noqa: S608
    return int(number)


class Source(msgspec.Struct, frozen=True, gc=False):
    """Ids of what a reading is from, and of its set of fields."""

    node: int
    stream: int
    sensor: int
    shape: int


class Names:
    """Cache of ids. It inserts new names within the caller's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.reload()

    def reload(self) -> None:
        """Read again what is in the file, after names were deleted from it."""
        self._nodes: dict[str, int] = {}
        self._streams: dict[tuple[str, str], int] = {}
        self._shapes: dict[str, int] = {}
        self._sensors: dict[tuple[str, str], tuple[int, str]] = {
            (node, name): (number, plugin)
            for node, name, number, plugin in self._db.execute(
                "SELECT node.name, sensor.name, sensor.id, plugin FROM sensor"
                " JOIN node ON node.id = sensor.node"
            )
        }
        self._sensor_shapes: set[tuple[int, int]] = set(
            self._db.execute("SELECT sensor, shape FROM sensor_shape")
        )
        # By node, stream, sensor, plugin and fields: nearly every reading is from one of these.
        self._sources: dict[tuple[str, str, str, str, str], Source] = {}

    def known_source(self, reading: Reading, fields: str) -> Source | None:
        """Return the ids of a reading, None where one of its names may be new."""
        return self._sources.get(
            (reading.node, reading.stream, reading.sensor_id, reading.plugin, fields)
        )

    def source(self, reading: Reading, fields: str) -> Source:
        """Return the ids of a reading; insert the names that are new."""
        node, sensor = reading.node, reading.sensor_id
        if self._sensors.get((node, sensor), (0, reading.plugin))[1] != reading.plugin:
            # Each of the two plugins has to be noted again when it returns.
            self._sources.clear()
        found = Source(
            self.node(node),
            self.stream(node, reading.stream),
            self.sensor(node, sensor, reading.plugin),
            self.shape(fields),
        )
        self.note_shape(found.sensor, found.shape)
        if len(self._sources) >= _MAX_SOURCES:
            self._sources.clear()
        self._sources[node, reading.stream, sensor, reading.plugin, fields] = found
        return found

    def has_stream(self, node: str, name: str) -> bool:
        """Whether a stream has an id already."""
        if (node, name) in self._streams:
            return True
        found = self._db.execute(
            "SELECT 1 FROM stream JOIN node ON node.id = stream.node"
            " WHERE node.name = ? AND stream.name = ?",
            (node, name),
        )
        return found.fetchone() is not None

    def has_shape(self, node: str, sensor: str, fields: str) -> bool:
        """Whether a sensor has had readings with these fields."""
        number, _ = self._sensors.get((node, sensor), (0, ""))
        shape = self._shapes.get(fields)
        if shape is None:
            found = self._db.execute("SELECT id FROM shape WHERE fields = ?", (fields,)).fetchone()
            shape = found[0] if found else 0
        return (number, shape) in self._sensor_shapes

    def node(self, name: str) -> int:
        if name not in self._nodes:
            self._nodes[name] = id_of(self._db, "node", name=name)
        return self._nodes[name]

    def stream(self, node: str, name: str) -> int:
        if (node, name) not in self._streams:
            _keep_small(self._streams)
            found = id_of(self._db, "stream", node=self.node(node), name=name)
            self._streams[node, name] = found
        return self._streams[node, name]

    def sensor(self, node: str, name: str, plugin: str) -> int:
        number, known = self._sensors.get((node, name), (0, ""))
        if not number or known != plugin:
            key = (self.node(node), name)
            self._db.execute(
                "INSERT INTO sensor (node, name, plugin) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET plugin = excluded.plugin",
                (*key, plugin),
            )
            number = self._db.execute(
                "SELECT id FROM sensor WHERE node = ? AND name = ?", key
            ).fetchone()[0]
            self._sensors[node, name] = (number, plugin)
        return number

    def shape(self, fields: str) -> int:
        if fields not in self._shapes:
            _keep_small(self._shapes)
            self._shapes[fields] = id_of(self._db, "shape", fields=fields)
        return self._shapes[fields]

    def note_shape(self, sensor: int, shape: int) -> None:
        """Note that a sensor has readings with these fields."""
        if (sensor, shape) not in self._sensor_shapes:
            self._sensor_shapes.add((sensor, shape))
            self._db.execute("INSERT OR IGNORE INTO sensor_shape VALUES (?, ?)", (sensor, shape))


def _keep_small(cache: dict[Any, Any]) -> None:
    if len(cache) >= _MAX_CACHED:
        cache.clear()
