"""Integer ids of names in the fleet's database, each looked up once for a connection.

New names are committed before the rows that need them, so an id that is known here is there.
"""

from collections.abc import Iterable

from hub_app.fleet.connection import Connection
from hub_app.fleet.forward.history_source import SensorName, StreamKey
from hub_app.fleet.forward.ranges import SeqRanges
from hub_app.fleet.forward.reading_rows import Shape
from hub_app.fleet.forward.shapes import ids_of

_STREAMS_AT_ONCE = 1000


class Names:
    """Cache of the ids of one site."""

    def __init__(self, db: Connection, site: int) -> None:
        self._db = db
        self.site = site
        self.nodes: dict[str, int] = {}
        self.streams: dict[StreamKey, int] = {}
        # The numbers of each stream that are stored.
        self.stored: dict[StreamKey, SeqRanges] = {}
        self.sensors: dict[SensorName, int] = {}
        self.shapes: dict[Shape, int] = {}

    def add_nodes(self, names: Iterable[str]) -> None:
        new = sorted(set(names) - self.nodes.keys())
        if not new:
            return
        self._db.execute(
            "INSERT INTO node (site, name) SELECT %s, unnest(%s::text[]) ON CONFLICT DO NOTHING",
            (self.site, new),
        )
        found = self._db.execute(
            "SELECT name, id FROM node WHERE site = %s AND name = ANY(%s)", (self.site, new)
        )
        self.nodes.update(found.fetchall())

    def add_streams(self, keys: Iterable[StreamKey], *, known_nodes: Iterable[str] = ()) -> None:
        """Learn streams and what is stored of them.

        A stream whose node is not among `known_nodes` any more belongs to a node that was renamed.
        """
        new = sorted(set(keys) - self.streams.keys(), key=lambda key: (key.node, key.stream))
        present = set(known_nodes)
        for start in range(0, len(new), _STREAMS_AT_ONCE):
            self._add_streams(new[start : start + _STREAMS_AT_ONCE], present)

    def add_sensors(self, names: Iterable[SensorName]) -> None:
        new = sorted(
            set(names) - self.sensors.keys(), key=lambda each: (each.node, each.sensor, each.plugin)
        )
        if not new:
            return
        self.add_nodes(each.node for each in new)
        # A sensor whose plugin changed may be there twice.
        plugins = {(self.nodes[each.node], each.sensor): each.plugin for each in new}
        nodes, sensors = [node for node, _ in plugins], [name for _, name in plugins]
        self._db.execute(
            "INSERT INTO sensor (node, name, plugin)"
            " SELECT * FROM unnest(%s::integer[], %s::text[], %s::text[])"
            " ON CONFLICT (node, name) DO UPDATE SET plugin = excluded.plugin"
            " WHERE sensor.plugin <> excluded.plugin",
            (nodes, sensors, list(plugins.values())),
        )
        numbers = self._numbers("sensor", "node", nodes, sensors)
        for each in new:
            self.sensors[each] = numbers[self.nodes[each.node], each.sensor]

    def add_shapes(self, shapes: Iterable[Shape]) -> None:
        new = set(shapes) - self.shapes.keys()
        if new:
            self.shapes.update(ids_of(self._db, new))

    def _add_streams(self, new: list[StreamKey], present: set[str]) -> None:
        if present:
            self._follow_renamed(new, present)
        self.add_nodes(key.node for key in new)
        nodes, names = [self.nodes[key.node] for key in new], [key.stream for key in new]
        self._db.execute(
            "INSERT INTO stream (node, name) SELECT * FROM unnest(%s::integer[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            (nodes, names),
        )
        numbers = self._numbers("stream", "node", nodes, names)
        by_number = {}
        for key, node in zip(new, nodes, strict=True):
            number = self.streams[key] = numbers[node, key.stream]
            by_number[number] = self.stored[key] = SeqRanges()
        for stream, first, last in self._db.execute(
            "SELECT stream, first, last FROM stored_range WHERE stream = ANY(%s)",
            (list(by_number),),
        ):
            by_number[stream].add(first, last)

    def _follow_renamed(self, new: list[StreamKey], present: set[str]) -> None:
        """Rename the nodes whose streams the hub's history has under another name now."""
        wanted = {key.stream: key.node for key in new}
        found = self._db.execute(
            "SELECT node.id, node.name, stream.id, stream.name FROM stream"
            " JOIN node ON node.id = stream.node WHERE node.site = %s AND stream.name = ANY(%s)",
            (self.site, list(wanted)),
        ).fetchall()
        for node, old, stream, name in found:
            if old == wanted[name] or old in present:
                continue
            taken = self._db.execute(
                "SELECT id FROM node WHERE site = %s AND name = %s", (self.site, wanted[name])
            ).fetchone()
            if taken is None:
                self._db.execute("UPDATE node SET name = %s WHERE id = %s", (wanted[name], node))
            else:
                # Both names have rows: what is stored stays where it is, and nothing comes twice.
                self._db.execute("UPDATE stream SET node = %s WHERE id = %s", (taken[0], stream))
            self.nodes.pop(old, None)

    def _numbers(
        self, table: str, owner: str, owners: list[int], names: list[str]
    ) -> dict[tuple[int, str], int]:
        # Table and column names come from this module.
        found = self._db.execute(
            f"SELECT {owner}, name, t.id FROM {table} AS t"  # noqa: S608
            f" JOIN unnest(%s::integer[], %s::text[]) AS wanted (o, n) ON {owner} = o AND name = n",
            (owners, names),
        )
        return {(own, name): number for own, name, number in found}
