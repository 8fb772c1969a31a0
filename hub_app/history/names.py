"""Integer ids of the names in the history, so that each name is stored once."""

import sqlite3

# Of all nodes together. More than this is a fault somewhere.
MAX_SENSORS = 5000


def id_of(db: sqlite3.Connection, table: str, **key: str | int) -> int:
    """Return the id of the row with `key`; insert the row where there is none."""
    columns, marks = ", ".join(key), ", ".join("?" * len(key))
    values = tuple(key.values())
    # Table and column names come from this program, never from the bus.
    db.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
    wanted = " AND ".join(f"{column} = ?" for column in key)
    (number,) = db.execute(f"SELECT id FROM {table} WHERE {wanted}", values).fetchone()  # noqa: S608
    return int(number)


class Names:
    """Cache of ids. It inserts new names within the caller's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._nodes: dict[str, int] = {}
        self._streams: dict[tuple[str, str], int] = {}
        self._sensors: dict[tuple[str, str], tuple[int, str]] = {
            (node, name): (number, plugin)
            for node, name, number, plugin in db.execute(
                "SELECT node.name, sensor.name, sensor.id, plugin FROM sensor"
                " JOIN node ON node.id = sensor.node"
            )
        }
        self._shapes: dict[str, int] = {}
        self._sensor_shapes: set[tuple[int, int]] = set()

    @property
    def is_full(self) -> bool:
        return len(self._sensors) >= MAX_SENSORS

    def knows(self, node: str, sensor: str) -> bool:
        return (node, sensor) in self._sensors

    def node(self, name: str) -> int:
        if name not in self._nodes:
            self._nodes[name] = id_of(self._db, "node", name=name)
        return self._nodes[name]

    def stream(self, node: str, name: str) -> int:
        if (node, name) not in self._streams:
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
            self._shapes[fields] = id_of(self._db, "shape", fields=fields)
        return self._shapes[fields]

    def note_shape(self, sensor: int, shape: int) -> None:
        """Note that a sensor has readings with these fields."""
        if (sensor, shape) not in self._sensor_shapes:
            self._sensor_shapes.add((sensor, shape))
            self._db.execute("INSERT OR IGNORE INTO sensor_shape VALUES (?, ?)", (sensor, shape))
