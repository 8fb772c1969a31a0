"""The fleet's database as the forwarder of one site uses it. It knows no thread."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import psycopg

from bus.config.history_table import FleetConfig
from bus.install.version import VERSION
from hub_app.fleet.connection import Timeouts, connect, errors_translated
from hub_app.fleet.errors import ReplacedTablesError
from hub_app.fleet.forward import own_site
from hub_app.fleet.forward.history_source import AlarmRow, EventRow, SensorName, StreamKey
from hub_app.fleet.forward.names import Names
from hub_app.fleet.forward.reading_rows import NUMBER_COLUMNS, Values, storable
from hub_app.fleet.migrations import make_partitions, migrate, week_of

_IDLE_S = 300.0
_MEANS_AT_ONCE = 2000
_COLUMNS = ", ".join(f"v{i}" for i in range(1, NUMBER_COLUMNS + 1))
_COPY = (
    f"COPY incoming (at_ms, seq, stream, sensor, shape, flags, {_COLUMNS}, more, texts) FROM STDIN"
)


class Forwarded(msgspec.Struct, frozen=True):
    """A reading to store; the key and `values` name what it consists of."""

    key: StreamKey
    seq: int
    sensor: SensorName
    at_ms: int
    flags: int
    values: Values


class Mark(msgspec.Struct, frozen=True):
    """The last forwarded row of a table of the history.

    `node` and `at_ms` tell whether the row with this id is still the same one.
    """

    id: int = 0
    node: str = ""
    at_ms: int = 0


class FleetDatabase:
    """A connection that forwards as `settings.site`. Every method may raise FleetUnavailableError.

    `names` knows what is stored. After an error the connection is to be closed and made anew.
    """

    def __init__(
        self, settings: FleetConfig, timeouts: Timeouts | None = None, *, history: str = ""
    ) -> None:
        """`history` identifies the history that is forwarded; a site goes with it to a new name."""
        self.settings = settings
        # A session of this site that nobody uses any more keeps its lock no longer than so.
        idle_s = _IDLE_S + 2 * settings.interval_s
        times = msgspec.structs.replace(timeouts or Timeouts(), idle_s=idle_s)
        self._db = connect(settings, f"harvester hub {settings.site}", times)
        self._weeks: set[int] = set()
        try:
            with errors_translated(self._db):
                migrate(self._db)
                self._tables = self._read_tables()
                self.names = Names(self._db, own_site.take(self._db, settings.site, history))
                self._db.execute("SELECT open_forwarding()")
                self.marks = self._read_marks()
                self._make_partitions([])
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def check_tables(self) -> None:
        """Raise ReplacedTablesError where a dump was restored: what is known here is wrong then."""
        with errors_translated(self._db):
            if self._read_tables() != self._tables:
                raise ReplacedTablesError(
                    "the tables of the fleet were replaced, as by a restored dump: "
                    "comparing them with the history"
                )

    def learn_streams(self, keys: Iterable[StreamKey], nodes: Iterable[str]) -> None:
        with errors_translated(self._db):
            self.names.add_streams(keys, known_nodes=nodes)

    def store(self, rows: Sequence[Forwarded]) -> int:
        """Store readings, each once, in one transaction; return how many are new."""
        with errors_translated(self._db):
            self._prepare(rows)
            with self._transaction():
                self._copy(rows)
                added = self._call("store_readings")
                self._note_seen()
        seqs: dict[StreamKey, list[int]] = {}
        for row in rows:
            seqs.setdefault(row.key, []).append(row.seq)
        for key, numbers in seqs.items():
            self.names.stored[key].add_each(sorted(numbers))
        return added

    def redate(self, rows: Sequence[Forwarded]) -> int:
        """Give readings that are stored with a wrong time their right one; return how many."""
        with errors_translated(self._db):
            self._prepare(rows)
            with self._transaction():
                self._copy(rows)
                return self._call("redate_readings")

    def undated(self) -> dict[StreamKey, tuple[int, int]]:
        """Return the first and last number of each stream whose time is still to be repaired."""
        with errors_translated(self._db):
            found = self._db.execute(
                "SELECT node.name, stream.name, min(seq), max(seq) FROM stored_reading AS r"
                " JOIN stream ON stream.id = r.stream JOIN node ON node.id = stream.node"
                " WHERE flags & 2 <> 0 AND node.site = %s GROUP BY 1, 2",
                (self.names.site,),
            ).fetchall()
        return {StreamKey(node, stream): (first, last) for node, stream, first, last in found}

    def store_events(self, events: Sequence[EventRow], mark: Mark) -> None:
        """Store events and how far they are forwarded, in one transaction."""
        with errors_translated(self._db):
            self.names.add_nodes(event.node for event in events)
            with self._transaction(), self._db.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO event VALUES (%s, from_ms(%s), %s, %s, %s, %s)"
                    " ON CONFLICT DO NOTHING",
                    [
                        (
                            *(self.names.nodes[event.node], event.at_ms, event.id),
                            *(event.kind, storable(event.subject), storable(event.detail)),
                        )
                        for event in events
                    ],
                )
                self._write_mark("event_mark", mark)

    def store_alarms(self, alarms: Sequence[AlarmRow], mark: Mark) -> None:
        """Store alarms and what has changed of them, and how far they are forwarded."""
        with errors_translated(self._db):
            self.names.add_nodes(alarm.node for alarm in alarms)
            with self._transaction(), self._db.cursor() as cursor:
                cursor.executemany(_ALARM, [self._alarm_columns(alarm) for alarm in alarms])
                self._write_mark("alarm_mark", mark)

    def open_alarms(self) -> list[tuple[str, str, int]]:
        """Return node, name and begin of the alarms that have no end here."""
        with errors_translated(self._db):
            return self._db.execute(
                "SELECT node.name, alarm.name, to_ms(begin_at) FROM alarm"
                " JOIN node ON node.id = alarm.node WHERE end_at IS NULL AND node.site = %s",
                (self.names.site,),
            ).fetchall()

    def end_alarm(self, node: str, name: str, begin_ms: int) -> None:
        """End an alarm of which the history knows nothing any more."""
        with errors_translated(self._db):
            self._db.execute(
                "UPDATE alarm SET end_at = greatest(now(), begin_at) WHERE name = %s"
                " AND begin_at = from_ms(%s)"
                " AND node = (SELECT id FROM node WHERE site = %s AND name = %s)",
                (name, begin_ms, self.names.site, node),
            )

    def store_entries(self, entries: dict[str, str | None]) -> None:
        """Store the newest values of topics as JSON, None where a topic is gone."""
        with errors_translated(self._db), self._transaction():
            self._db.execute(
                "INSERT INTO entry SELECT %s, topic, value, clock_timestamp()"
                " FROM unnest(%s::text[], %s::text[]) AS e (topic, value)"
                " ON CONFLICT (site, topic) DO UPDATE SET value = excluded.value,"
                " changed_at = excluded.changed_at",
                (self.names.site, list(entries), list(entries.values())),
            )
            self._note_seen()

    def known_topics(self) -> set[str]:
        """Return the topics that have a value here."""
        with errors_translated(self._db):
            found = self._db.execute(
                "SELECT topic FROM entry WHERE site = %s AND value IS NOT NULL", (self.names.site,)
            )
            return {topic for (topic,) in found}

    def describe(self, sensors: Sequence[tuple[SensorName, str, str, str]]) -> None:
        """Store titles, areas and the descriptions of sensors as JSON."""
        with errors_translated(self._db):
            self.names.add_sensors(each[0] for each in sensors)
            with self._transaction(), self._db.cursor() as cursor:
                cursor.executemany(
                    "SELECT describe_sensor(%s, %s, %s, %s)",
                    [
                        (self.names.sensors[name], storable(title), storable(area), description)
                        for name, title, area, description in sensors
                    ],
                )

    def describe_nodes(self, nodes: Sequence[tuple[str, str, str]]) -> None:
        """Store name, title and area of nodes."""
        with errors_translated(self._db):
            self.names.add_nodes(node for node, _, _ in nodes)
            with self._transaction(), self._db.cursor() as cursor:
                cursor.executemany(
                    "UPDATE node SET title = %s, area = %s WHERE id = %s",
                    [(storable(t), storable(a), self.names.nodes[node]) for node, t, a in nodes],
                )

    def describe_site(self, page: str, rules: str) -> None:
        """Store the address of the hub's page, and the rules of its alarms as JSON."""
        with errors_translated(self._db):
            self._db.execute(
                "UPDATE site SET page = %s, rules = %s WHERE id = %s",
                (storable(page), storable(rules), self.names.site),
            )

    def note_seen(self) -> None:
        with errors_translated(self._db):
            self._note_seen()

    def compute_means(self) -> bool:
        """Compute some of the means that are due; return whether there may be more."""
        with errors_translated(self._db):
            found = self._db.execute(
                "SELECT compute_means(%s, %s)", (self.names.site, _MEANS_AT_ONCE)
            ).fetchone()
        return found is not None and found[0] == _MEANS_AT_ONCE

    def maintain(self) -> None:
        """Drop expired partitions; count the names for the planner of queries.

        Tables of a few rows are not counted by the server itself, and views join them all.
        """
        self._drop_expired()
        with errors_translated(self._db):
            self._db.execute("ANALYZE site, node, sensor, field, series, shape, shape_field")

    def _drop_expired(self) -> None:
        with errors_translated(self._db):
            self._db.execute("SET lock_timeout = '5s'")
            try:
                self._db.execute("SELECT drop_expired()")
            except psycopg.errors.LockNotAvailable:
                # A long query holds a table: at the next time.
                return
            finally:
                self._db.execute("RESET lock_timeout")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit only what belongs to the tables that were there at the connection."""
        with self._db.transaction():
            yield
            self.check_tables()

    def _read_tables(self) -> tuple[object, ...] | None:
        return self._db.execute(
            "SELECT pg_relation_filenode(to_regclass('site')),"
            " pg_relation_filenode(to_regclass('stored_range'))"
        ).fetchone()

    def _prepare(self, rows: Sequence[Forwarded]) -> None:
        self.names.add_sensors({row.sensor for row in rows})
        self.names.add_shapes({row.values.shape for row in rows})
        times = {week_of(row.at_ms): row.at_ms for row in rows}
        new = [at_ms for week, at_ms in times.items() if week not in self._weeks]
        if new:
            self._make_partitions(new)

    def _make_partitions(self, times_ms: list[int]) -> None:
        make_partitions(self._db, times_ms)
        self._weeks.update(map(week_of, times_ms))

    def _copy(self, rows: Sequence[Forwarded]) -> None:
        streams, sensors, shapes = self.names.streams, self.names.sensors, self.names.shapes
        with self._db.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in rows:
                values = row.values
                key, sensor, shape = streams[row.key], sensors[row.sensor], shapes[values.shape]
                numbers, flags = values.columns, row.flags
                copy.write_row(
                    (
                        row.at_ms,
                        row.seq,
                        key,
                        sensor,
                        shape,
                        flags,
                        *numbers,
                        values.more,
                        values.texts,
                    )
                )

    def _call(self, function: str) -> int:
        # The name of a function of ours.
        found = self._db.execute(f"SELECT {function}(%s)", (self.names.site,)).fetchone()
        return int(found[0]) if found else 0

    def _note_seen(self) -> None:
        self._db.execute(
            "UPDATE site SET seen_at = now(), version = %s WHERE id = %s",
            (VERSION, self.names.site),
        )

    def _read_marks(self) -> dict[str, Mark]:
        found = self._db.execute(
            "SELECT event_mark::text, alarm_mark::text FROM site WHERE id = %s", (self.names.site,)
        ).fetchone()
        texts = found or (None, None)
        return {
            column: msgspec.json.decode(text, type=Mark) if text else Mark()
            for column, text in zip(("event_mark", "alarm_mark"), texts, strict=True)
        }

    def _write_mark(self, column: str, mark: Mark) -> None:
        self._db.execute(
            f"UPDATE site SET {column} = %s::jsonb WHERE id = %s",  # noqa: S608 - one of two
            (msgspec.json.encode(mark).decode(), self.names.site),
        )
        self.marks[column] = mark

    def _alarm_columns(self, alarm: AlarmRow) -> tuple[object, ...]:
        return (
            *(self.names.nodes[alarm.node], alarm.name, alarm.begin_ms, alarm.end_ms),
            *(
                alarm.rule,
                alarm.sensor,
                storable(alarm.field),
                alarm.severity,
                storable(alarm.text),
            ),
            *(alarm.value, alarm.worst, alarm.bound, alarm.acknowledged_ms or None),
            storable(alarm.acknowledged_by),
        )


_ALARM = """
INSERT INTO alarm (node, name, begin_at, end_at, rule, sensor, field, severity, text, value, worst,
    bound, acknowledged_at, acknowledged_by)
VALUES (%s, %s, from_ms(%s), from_ms(%s), %s, %s, %s, %s, %s, %s, %s, %s, from_ms(%s), %s)
ON CONFLICT (node, name, begin_at) DO UPDATE SET end_at = excluded.end_at,
    severity = excluded.severity, text = excluded.text, worst = excluded.worst,
    bound = excluded.bound, acknowledged_at = excluded.acknowledged_at,
    acknowledged_by = excluded.acknowledged_by
"""
