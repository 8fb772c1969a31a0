"""Queries of one site's history in the fleet's database."""

import contextlib
from collections.abc import Iterator

from hub_app.alarms.engine import Active
from hub_app.alarms.records import Past, PastQuery
from hub_app.fleet.connection import Connection
from hub_app.fleet.page.chart_query import HOUR_MS, points, resolution_for
from hub_app.fleet.page.pool import Pool
from hub_app.fleet.page.site_coverage import coverage_of, gaps_of
from hub_app.history.coverage.coverage import Coverage
from hub_app.history.query.gaps import Gaps
from hub_app.history.query.lookup import UnknownSensorError
from hub_app.history.query.points import downsampled
from hub_app.history.query.resolution import step_for
from hub_app.history.query.series import (
    ChartQuery,
    ChartSeries,
    FieldPoints,
    Series,
    SeriesQuery,
)

_MOST_POINTS = 40_000
_ALARM = (
    "SELECT node.name, alarm.name, rule, severity, text, sensor, field, to_ms(begin_at),"
    " to_ms(end_at), value, worst, bound, coalesce(to_ms(acknowledged_at), 0), acknowledged_by"
    " FROM alarm JOIN node ON node.id = alarm.node WHERE node.site = %s"
)


class SiteQueries:
    """Queries of the site with this number. Raises psycopg.Error."""

    def __init__(self, db: Connection, site: int) -> None:
        self._db = db
        self._site = site

    def series(self, query: SeriesQuery) -> Series:
        sensor, fields = self._look_up(query.node, query.sensor, [query.field])
        times = (query.from_ms, query.to_ms)
        resolution = resolution_for(*times, _step_ms(query))
        found = points(self._db, (self._site, sensor), list(fields.values()), times, resolution)
        (values,) = found.values()
        if len(values) > query.points:
            step_ms = -(-(query.to_ms - query.from_ms) // query.points)
            values = list(downsampled(values, query.from_ms, step_ms))
        name = f"{query.node}:{query.sensor}"
        return Series(name, query.field, *times, resolution.source, values)

    def chart(self, query: ChartQuery) -> ChartSeries:
        sensor, fields = self._look_up(query.node, query.sensor, query.fields)
        times = (query.from_ms, query.to_ms)
        width = max(1, min(query.width, _MOST_POINTS // max(1, len(fields))))
        resolution = resolution_for(*times, step_for(query.to_ms - query.from_ms, width))
        found = points(self._db, (self._site, sensor), list(fields.values()), times, resolution)
        return ChartSeries(
            f"{query.node}:{query.sensor}",
            *times,
            resolution.source,
            resolution.step_ms,
            [FieldPoints(field, found[number]) for field, number in fields.items()],
        )

    def gaps(self, query: ChartQuery, _now_ms: int) -> Gaps:
        name = f"{query.node}:{query.sensor}"
        return gaps_of(self._db, self._site, name, (query.from_ms, query.to_ms))

    def coverage(self, node: str, times: tuple[int, int], _now_ms: int) -> Coverage:
        return coverage_of(self._db, self._site, node, times)

    def past_alarms(self, query: PastQuery) -> list[Past]:
        found = self._db.execute(
            f"{_ALARM} AND begin_at < from_ms(%s) AND end_at >= from_ms(%s)".encode()
            + b" AND (%s = '' OR node.name = %s) ORDER BY begin_at DESC LIMIT %s",
            (self._site, query.to_ms, query.from_ms, query.node, query.node, query.limit),
        )
        return [Past(*row) for row in found]

    def active_alarms(self) -> list[Active]:
        found = self._db.execute(
            f"{_ALARM} AND end_at IS NULL ORDER BY begin_at".encode(), (self._site,)
        )
        return [_active(row) for row in found]

    def sensors(self) -> set[str]:
        found = self._db.execute(
            "SELECT node.name || ':' || sensor.name FROM sensor JOIN node ON node.id = sensor.node"
            " WHERE node.site = %s AND EXISTS (SELECT FROM series WHERE series.sensor = sensor.id)",
            (self._site,),
        )
        return {name for (name,) in found}

    def _look_up(self, node: str, sensor: str, fields: list[str]) -> tuple[int, dict[str, int]]:
        """Return the number of a sensor, and its series by their fields."""
        found = self._db.execute(
            "SELECT sensor.id, field.name, series.id FROM sensor"
            " JOIN node ON node.id = sensor.node JOIN series ON series.sensor = sensor.id"
            " JOIN field ON field.id = series.field"
            " WHERE node.site = %s AND node.name = %s AND sensor.name = %s"
            " AND EXISTS (SELECT FROM shape_field AS f WHERE f.field = field.id AND NOT f.is_text)"
            " ORDER BY field.name",
            (self._site, node, sensor),
        ).fetchall()
        if not found:
            raise UnknownSensorError(f"sensor: found {node[:70]}:{sensor[:70]}, expected one here")
        known = {field: number for _, field, number in found}
        for field in fields:
            if field not in known:
                raise UnknownSensorError(
                    f"field: found {field[:80]!r}, expected one of {', '.join(known)}"
                )
        return found[0][0], {field: known[field] for field in fields or known}


def _step_ms(query: SeriesQuery) -> int:
    """Return the time between the values that are downsampled: an hour where it is fine enough."""
    return HOUR_MS if query.to_ms - query.from_ms >= query.points * HOUR_MS else 1


@contextlib.contextmanager
def open_site(pool: Pool, site: int) -> Iterator[SiteQueries]:
    """Lend a connection for the queries of a site. Raises FleetUnavailableError."""
    with pool.connection() as db:
        yield SiteQueries(db, site)


def _active(row: tuple[object, ...]) -> Active:
    node, name, rule, severity, text, sensor, field, begin_ms, _, *rest = row
    return Active(node, name, rule, severity, text, begin_ms, sensor, field, *rest)  # type: ignore[arg-type]
