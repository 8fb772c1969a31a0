"""Points of a chart from the fleet's database, at the resolution that the range needs."""

from typing import Any

from bus.clock import DAY_MS
from hub_app.fleet.connection import Connection
from hub_app.history.query.points import Point

_HOUR_MS = 3_600_000
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
_READINGS = f"""
SELECT series, to_ms(bucket_of(at, %(step)s * interval '1 ms')), min(to_ms(at)), avg(value),
    min(value), max(value), count(*)
FROM ({_VALUES} AND {_RANGE}) AS v WHERE value IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - constants
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
SELECT series, to_ms(bucket_of(at, %(step)s * interval '1 ms')), NULL, sum(total) / sum(count),
    min(low), max(high), sum(count)::bigint FROM part GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - constants
_HOURS = """
SELECT series, to_ms(bucket_of(at, %(step)s * interval '1 ms')), NULL,
    sum(mean * count) / sum(count), min(low), max(high), sum(count)::bigint FROM mean_hour
WHERE series = ANY(%(series)s) AND at >= from_ms(%(from)s) AND at < from_ms(%(to)s)
GROUP BY 1, 2 ORDER BY 1, 2
"""


def is_of_readings(from_ms: int, to_ms: int, step_ms: int) -> bool:
    """Whether a chart is made of single readings: a day at most, and small steps."""
    return to_ms - from_ms <= DAY_MS and step_ms < _MEANS_STEP_MS


def points(
    db: Connection, key: tuple[int, int], series: list[int], times: tuple[int, int], step_ms: int
) -> dict[int, list[Point]]:
    """Return the points of each series by its number; `key` is the site and the sensor."""
    values: dict[str, Any] = {
        "site": key[0],
        "sensor": key[1],
        "series": series,
        "step": step_ms,
        "from": times[0],
        "to": times[1],
    }
    if is_of_readings(*times, step_ms):
        statement = _READINGS
    else:
        values["step"] = max(step_ms, _FIVE_MINUTES_MS)
        statement = _HOURS if step_ms >= 2 * _HOUR_MS else _MEANS
    found: dict[int, list[Point]] = {number: [] for number in series}
    for number, at_ms, first_ms, mean, low, high, count in db.execute(statement.encode(), values):
        # A lone reading has its own time.
        time_ms = first_ms if count == 1 and first_ms is not None else at_ms
        found[number].append((time_ms, mean, low, high, count))
    return found
