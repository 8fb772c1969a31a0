"""Coverage of the nodes of a site, and gaps with their reasons, from the fleet's database.

The rules are those of the hub's own history (`hub_app.history.coverage`). What a hub has not
forwarded yet is not expected.
"""

from collections import defaultdict

import msgspec

from bus.clock import DAY_MS
from hub_app.fleet.connection import Connection
from hub_app.history.coverage.coverage import (
    Coverage,
    NodeHistory,
    SampleRun,
    SensorCoverage,
    SensorSamples,
    StoredSeqs,
    coverage_by_sensor,
)
from hub_app.history.coverage.query import (
    GAPS,
    REMOVED_AFTER_MS,
    EventText,
    UnknownNodeError,
    hub_stops,
    median_interval_ms,
    plugin_changes,
    presence_changes,
)
from hub_app.history.events import DROPPED, HUB, PLUGIN, PRESENCE, REFUSED, RESTORED
from hub_app.history.query.gaps import LONGEST_EXACT_MS, Gaps, longest_gaps, median_gap_ms
from hub_app.history.query.lookup import UnknownSensorError
from hub_app.history.schema import BUCKET_MS, LATE

_HOUR_MS = 3_600_000
# Beyond that, a gap is an hour without a reading.
_LONGEST_BY_BUCKETS_MS = 60 * DAY_MS
# The hub commits and forwards every 2 s.
_ON_ITS_WAY_MS = 5000

_SENSORS = """
SELECT sensor.id, sensor.name, sensor.plugin FROM sensor WHERE node = %s AND EXISTS (
    SELECT FROM stored_reading AS r WHERE r.sensor = sensor.id
        AND r.at >= from_ms(%s) AND r.at < from_ms(%s)) ORDER BY sensor.name
"""
_BUCKETS = """
SELECT to_ms(at), stream, first, last, count, late FROM (
    SELECT bucket_of(at, interval '5 min') AS at, stream, min(seq) AS first, max(seq) AS last,
        count(*) AS count, count(*) FILTER (WHERE flags & 4 <> 0) AS late
    FROM stored_reading WHERE sensor = %s AND at >= from_ms(%s) AND at < from_ms(%s)
        AND flags & 2 = 0 GROUP BY 1, 2
) AS bucket ORDER BY at
"""
_ROWS = """
SELECT to_ms(at), flags, stream, seq FROM stored_reading
WHERE sensor = %s AND at >= from_ms(%s) AND at < from_ms(%s) AND flags & 2 = 0
    AND bucket_of(at, interval '5 min') = ANY(SELECT from_ms(b) FROM unnest(%s::bigint[]) AS b)
"""
_NEWEST = """
SELECT to_ms(at) FROM stored_reading WHERE sensor = %s AND at >= from_ms(%s) AND at < from_ms(%s)
    AND flags & 2 = 0 ORDER BY at DESC LIMIT %s
"""
_NEIGHBOURS = """
(SELECT to_ms(at), to_ms(at), stream, seq, seq FROM stored_reading
    WHERE sensor = %(sensor)s AND at < from_ms(%(from)s) AND flags & 2 = 0 ORDER BY at DESC LIMIT 1)
UNION ALL
(SELECT to_ms(at), to_ms(at), stream, seq, seq FROM stored_reading
    WHERE sensor = %(sensor)s AND at >= from_ms(%(to)s) AND flags & 2 = 0 ORDER BY at LIMIT 1)
"""
_FIRST = """
SELECT to_ms(least(
    (SELECT min(at) FROM stored_reading WHERE sensor = %(sensor)s AND flags & 2 = 0),
    (SELECT min(at) FROM mean_hour WHERE series = (SELECT min(id) FROM series
        WHERE sensor = %(sensor)s))))
"""
# Intervals with a mean, or whose mean is still to be computed.
_MEANS = """
SELECT to_ms(at) FROM (
    SELECT m.at FROM {table} AS m
        WHERE m.series IN (SELECT id FROM series WHERE sensor = %(sensor)s)
        AND m.at >= from_ms(%(from)s) AND m.at < from_ms(%(to)s)
    UNION SELECT bucket_of(p.at, interval '{length}') FROM pending_mean AS p
        WHERE p.site = %(site)s AND p.sensor = %(sensor)s
        AND p.at >= from_ms(%(from)s) AND p.at < from_ms(%(to)s)
) AS bucket ORDER BY at
"""
_BY_BUCKETS = _MEANS.format(table="mean_5min", length="5 min")
_BY_HOURS = _MEANS.format(table="mean_hour", length="1 hour")
_EVENTS = """
SELECT event.kind, to_ms(event.at), event.subject, event.detail FROM event
WHERE event.node = %(node)s AND event.kind = ANY(%(of_node)s)
UNION ALL
SELECT event.kind, to_ms(event.at), event.subject, event.detail FROM event
JOIN node ON node.id = event.node WHERE node.site = %(site)s AND event.kind = ANY(%(of_hub)s)
    AND event.at >= from_ms(%(from)s)
ORDER BY 2
"""

_Times = tuple[int, int]


class _Node(msgspec.Struct, frozen=True):
    """A node of a site, and until when its hub has forwarded."""

    site: int
    id: int
    name: str
    heard_ms: int


def coverage_of(db: Connection, site: int, node: str, times: _Times) -> Coverage:
    """Return the coverage of a node. Raises UnknownNodeError, psycopg.Error."""
    return Coverage(node, *times, _by_samples(db, _look_up(db, site, node), times))


def gaps_of(db: Connection, site: int, name: str, times: _Times) -> Gaps:
    """Return the gaps of a sensor, `node:sensor`. Raises BadDataError, psycopg.Error."""
    node_name, _, sensor = name.partition(":")
    node = _look_up(db, site, node_name)
    is_short = times[1] - times[0] <= LONGEST_EXACT_MS
    found = _by_samples(db, node, times) if is_short else _by_means(db, node, sensor, times)
    mine = (each for each in found if each.sensor_id == name)
    coverage = next(mine, None)
    # One that is not in use any more has no gaps, as nothing is expected of it.
    return Gaps(BUCKET_MS, []) if coverage is None else longest_gaps(coverage)


def _look_up(db: Connection, site: int, node: str) -> _Node:
    found = db.execute(
        "SELECT node.id, coalesce(to_ms(seen_at), 0) FROM node JOIN site ON site.id = node.site"
        " WHERE node.site = %s AND node.name = %s",
        (site, node),
    ).fetchone()
    if found is None:
        raise UnknownNodeError(f"node: found {node[:70]!r}, which has no history")
    return _Node(site, found[0], node, found[1] - _ON_ITS_WAY_MS)


def _by_samples(db: Connection, node: _Node, times: _Times) -> list[SensorCoverage]:
    stored: list[StoredSeqs] = []
    in_use = db.execute(_SENSORS, (node.id, times[0] - REMOVED_AFTER_MS, times[1])).fetchall()
    sensors = [_samples(db, sensor, times, stored) for sensor in in_use]
    return coverage_by_sensor(node.name, _history(db, node, times, sensors, stored))


def _by_means(db: Connection, node: _Node, sensor: str, times: _Times) -> list[SensorCoverage]:
    found = db.execute(
        "SELECT id, plugin FROM sensor WHERE node = %s AND name = %s", (node.id, sensor)
    ).fetchone()
    if found is None:
        raise UnknownSensorError(f"sensor: found {node.name}:{sensor[:70]}, expected one here")
    number, plugin = found
    statement = _BY_HOURS if times[1] - times[0] > _LONGEST_BY_BUCKETS_MS else _BY_BUCKETS
    length_ms = _HOUR_MS if statement is _BY_HOURS else BUCKET_MS
    keys = {
        "site": node.site,
        "sensor": number,
        "from": times[0] - times[0] % length_ms,
        "to": times[1],
    }
    buckets = [at_ms for (at_ms,) in db.execute(statement.encode(), keys)]
    if not buckets:
        return []
    every_ms = max(_interval_ms(db, number, times), median_gap_ms(buckets), length_ms)
    runs = [SampleRun(at_ms, at_ms + every_ms, False, 1) for at_ms in buckets]
    first_ms = _first_ms(db, number)
    began_ms = buckets[0] if first_ms is None else first_ms - first_ms % length_ms
    samples = SensorSamples(sensor, plugin, every_ms, began_ms, runs)
    return coverage_by_sensor(node.name, _history(db, node, times, [samples], []))


def _history(
    db: Connection,
    node: _Node,
    times: _Times,
    sensors: list[SensorSamples],
    stored: list[StoredSeqs],
) -> NodeHistory:
    events: dict[str, list[EventText]] = defaultdict(list)
    keys = {
        "node": node.id,
        "of_node": [PRESENCE, PLUGIN, DROPPED, REFUSED],
        "site": node.site,
        "of_hub": [HUB, RESTORED],
        "from": times[0],
    }
    for kind, *event in db.execute(_EVENTS, keys):
        events[kind].append((event[0], event[1], event[2]))
    return NodeHistory(
        from_ms=times[0],
        to_ms=times[1],
        now_ms=node.heard_ms,
        sensors=sensors,
        stored=sorted(stored, key=lambda seqs: seqs.from_ms),
        presence=presence_changes(events[PRESENCE]),
        hub_stops_ms=hub_stops(events[HUB], stored),
        dropped_ms=[at_ms for at_ms, _, _ in events[DROPPED]],
        refused_ms=[at_ms for at_ms, _, _ in events[REFUSED]],
        plugins=plugin_changes(events[PLUGIN]),
        restores=[(int(text), at_ms) for at_ms, _, text in events[RESTORED] if text.isdecimal()],
    )


def _samples(
    db: Connection, found: tuple[int, str, str], times: _Times, stored: list[StoredSeqs]
) -> SensorSamples:
    """Return the samples of a sensor; their numbers, and the next ones around, go to `stored`."""
    sensor, name, plugin = found
    interval_ms = _interval_ms(db, sensor, times)
    runs, incomplete = _complete(db, sensor, times, BUCKET_MS // interval_ms, stored)
    rows = db.execute(_ROWS, (sensor, *times, incomplete)).fetchall() if incomplete else []
    for at_ms, flags, stream, seq in rows:
        runs.append(SampleRun(at_ms, at_ms + interval_ms, bool(flags & LATE), 1))
        stored.append(StoredSeqs(at_ms, at_ms, stream, seq, seq))
    keys = {"sensor": sensor, "from": times[0], "to": times[1]}
    stored += [StoredSeqs(*row) for row in db.execute(_NEIGHBOURS, keys)]
    first_ms = _first_ms(db, sensor)
    began_ms = times[1] if first_ms is None else first_ms
    runs.sort(key=lambda run: run.from_ms)
    return SensorSamples(name, plugin, interval_ms, began_ms, runs)


def _complete(
    db: Connection, sensor: int, times: _Times, expected: int, stored: list[StoredSeqs]
) -> tuple[list[SampleRun], list[int]]:
    """Return intervals without a gap as runs, and those that must be read one by one."""
    complete: list[SampleRun] = []
    incomplete: list[int] = []
    for at_ms, stream, first, last, count, late in db.execute(_BUCKETS, (sensor, *times)):
        end_ms = at_ms + BUCKET_MS
        is_within = times[0] <= at_ms and end_ms <= times[1]
        if is_within and late in (0, count) and count >= max(expected, 1):
            complete.append(SampleRun(at_ms, end_ms, late > 0, count))
            stored.append(StoredSeqs(at_ms, end_ms - 1, stream, first, last))
        else:
            incomplete.append(at_ms)
    return complete, incomplete


def _interval_ms(db: Connection, sensor: int, times: _Times) -> int:
    keys = (sensor, times[0] - REMOVED_AFTER_MS, times[1], GAPS)
    return median_interval_ms([at_ms for (at_ms,) in db.execute(_NEWEST, keys)])


def _first_ms(db: Connection, sensor: int) -> int | None:
    """Return the time of the first reading of a sensor that is still known."""
    found = db.execute(_FIRST, {"sensor": sensor}).fetchone()
    return None if found is None else found[0]
