"""Points of a chart from the fleet's database, at the resolution that the range needs."""

from typing import Any, Literal

import msgspec

from bus.clock import DAY_MS
from hub_app.fleet.connection import Connection
from hub_app.history.query.points import Point

HOUR_MS = 3_600_000
_FIVE_MINUTES_MS = 300_000
# From this step on, a chart is made of means.
_MEANS_STEP_MS = 120_000

_NUMBER = (
    "CASE f.place WHEN 1 THEN r.v1 WHEN 2 THEN r.v2 WHEN 3 THEN r.v3 WHEN 4 THEN r.v4"
    " WHEN 5 THEN r.v5 WHEN 6 THEN r.v6 WHEN 7 THEN r.v7 WHEN 8 THEN r.v8"
    " ELSE r.more[f.place - 8] END"
)
_VALUES = f"""
    SELECT series.id AS series, r.at, {_NUMBER} AS value
    FROM stored_reading AS r JOIN shape_field AS f ON f.shape = r.shape AND NOT f.is_text
    JOIN series ON series.sensor = r.sensor AND series.field = f.field
    WHERE r.sensor = %(sensor)s AND series.id = ANY(%(series)s) AND r.flags & 2 = 0
"""  # noqa: S608 - a constant
_RANGE = "r.at >= from_ms(%(from)s) AND r.at < from_ms(%(to)s)"
# The milliseconds of a time are worked out for each point, not for each row.
_READINGS = f"""
SELECT series, to_ms(at), to_ms(first_at), mean, low, high, count FROM (
    SELECT series, bucket_of(at, %(step)s * interval '1 ms') AS at, min(at) AS first_at,
        avg(value) AS mean, min(value) AS low, max(value) AS high, count(*) AS count
    FROM ({_VALUES} AND {_RANGE}) AS v WHERE value IS NOT NULL GROUP BY 1, 2
) AS point ORDER BY series, at
"""  # noqa: S608 - constants
# The statement that reads rows `series`, `at`, `total`, `low`, `high`, `count` follows.
_OF_MEANS = """
SELECT series, to_ms(at), NULL, mean, low, high, count FROM (
    SELECT series, bucket_of(at, %(step)s * interval '1 ms') AS at,
        quotient(sum(total), sum(count)) AS mean,
        min(low) AS low, max(high) AS high, sum(count)::bigint AS count
    FROM part GROUP BY 1, 2
) AS point ORDER BY series, at
"""
# Means, and the readings of the intervals whose means are not computed yet.
_MEANS = f"""
WITH fresh AS (
    SELECT p.at FROM pending_mean AS p WHERE p.site = %(site)s AND p.sensor = %(sensor)s
        AND p.at >= from_ms(%(from)s) AND p.at < from_ms(%(to)s) ORDER BY p.at DESC LIMIT 24
), part AS (
    SELECT m.series, m.at, m.mean * m.count AS total, m.low, m.high, m.count::bigint
    FROM mean_5min AS m
    WHERE m.series = ANY(%(series)s) AND m.at >= from_ms(%(from)s) AND m.at < from_ms(%(to)s)
        AND m.at NOT IN (SELECT at FROM fresh)
    UNION ALL
    SELECT v.series, v.at, v.value, v.value, v.value, 1
    FROM fresh JOIN LATERAL ({_VALUES} AND r.at >= fresh.at AND r.at < fresh.at + interval '5 min')
        AS v ON value IS NOT NULL
)
{_OF_MEANS}"""  # noqa: S608 - constants
_HOURS = f"""
WITH part AS (
    SELECT m.series, m.at, m.mean * m.count AS total, m.low, m.high, m.count FROM mean_hour AS m
    WHERE m.series = ANY(%(series)s) AND m.at >= from_ms(%(from)s) AND m.at < from_ms(%(to)s)
)
{_OF_MEANS}"""  # noqa: S608 - constants


class Resolution(msgspec.Struct, frozen=True):
    """The table that a chart is made of, and the time from one point to the next."""

    source: Literal["readings", "means"]
    step_ms: int
    statement: str


def resolution_for(from_ms: int, to_ms: int, step_ms: int) -> Resolution:
    """Return the resolution of a chart that wants points so far apart.

    It is made of single readings for a day at most with small steps, of means of an hour for steps
    from half an hour on, and of those of 5 minutes in between.
    """
    if to_ms - from_ms <= DAY_MS and step_ms < _MEANS_STEP_MS:
        return Resolution("readings", step_ms, _READINGS)
    if step_ms >= HOUR_MS // 2:
        return Resolution("means", max(step_ms, HOUR_MS), _HOURS)
    return Resolution("means", max(step_ms, _FIVE_MINUTES_MS), _MEANS)


def points(
    db: Connection,
    key: tuple[int, int],
    series: list[int],
    times: tuple[int, int],
    resolution: Resolution,
) -> dict[int, list[Point]]:
    """Return the points of each series by its number; `key` is the site and the sensor."""
    values: dict[str, Any] = {
        "site": key[0],
        "sensor": key[1],
        "series": series,
        "step": resolution.step_ms,
        "from": times[0],
        "to": times[1],
    }
    found: dict[int, list[Point]] = {number: [] for number in series}
    rows = db.execute(resolution.statement.encode(), values)
    for number, at_ms, first_ms, mean, low, high, count in rows:
        # A lone reading has its own time.
        time_ms = first_ms if count == 1 and first_ms is not None else at_ms
        found[number].append((time_ms, mean, low, high, count))
    return found
