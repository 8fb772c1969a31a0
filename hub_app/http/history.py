"""`GET /api/history` and `GET /api/coverage`, answered as JSON or CSV.

Queries run off the event loop, a few at a time, each on a database connection of its own.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus import clock
from bus.contract.description import FieldDescription
from bus.errors import BadDataError
from hub_app.history.coverage.query import LONGEST_COVERAGE_MS, coverage_of
from hub_app.history.query.gaps import Gaps, gaps_of
from hub_app.history.query.resolution import RangeTooLongError
from hub_app.history.query.series import (
    DEFAULT_POINTS,
    MAX_POINTS,
    ChartQuery,
    ChartSeries,
    SeriesQuery,
    SeriesReader,
)
from hub_app.history.schema import open_for_reading
from hub_app.http.formats import query_params
from hub_app.http.formats.csv_table import csv_response, series_table
from hub_app.http.formats.query_params import DAY_MS, iso_8601
from hub_app.http.responses import hub_of
from hub_app.hub import Hub
from hub_app.live.state import State

_MAX_QUERIES = 2
_MAX_FIELDS = 64
_DEFAULT_WIDTH = 1000
_FORMATS = ("json", "csv")
_TIMES = ("ms", "iso")
_MISSING = ("error", "empty")

_slots = asyncio.Semaphore(_MAX_QUERIES)
T = TypeVar("T")


async def history(request: Request) -> Response:
    """Answer the query parameters that docs/history.md describes."""
    params = request.query_params
    fields = params.getlist("field")
    if len(fields) == 1 and "width" not in params:
        return await _one_field(request, fields[0])
    return await _chart(request, fields)


async def coverage(request: Request) -> Response:
    """Answer ?node=&from=&to=; `from` and `to` default to the last day."""
    params = request.query_params
    node = query_params.required(params, "node")
    now_ms = clock.now_ms()
    from_ms, to_ms = query_params.time_range(params, now_ms)
    if to_ms - from_ms > LONGEST_COVERAGE_MS:
        days = LONGEST_COVERAGE_MS // DAY_MS
        raise HTTPException(400, f"from: found a range of more than {days} days before to")
    return _json(await _read(request, lambda db: coverage_of(db, node, from_ms, to_ms, now_ms)))


async def _one_field(request: Request, field: str) -> Response:
    """Answer at most `points` points of one field."""
    params = request.query_params
    node, sensor = _sensor(request)
    from_ms, to_ms = query_params.time_range(params, clock.now_ms())
    if not field:
        raise HTTPException(400, "field: found nothing, expected one")
    points = query_params.number(params, "points", DEFAULT_POINTS, 1, MAX_POINTS)
    form = query_params.choice(params, "format", _FORMATS)
    times = query_params.choice(params, "times", _TIMES)
    query = SeriesQuery(node, sensor, field, from_ms, to_ms, points)
    series = await _read(request, lambda db: SeriesReader(db).series(query))
    if form == "csv":
        header = ("timestamp_ms", field, "low", "high", "count")
        return csv_response(_file_name(series.sensor, field), header, series.points)
    answer = {
        **msgspec.structs.asdict(series),
        **_words(hub_of(request).state, series.sensor, field),
    }
    return _json(answer | {"points": _points(series.points, times)})


async def _chart(request: Request, fields: list[str]) -> Response:
    """Answer at most `width` points of several fields, and the gaps."""
    params = request.query_params
    node, sensor = _sensor(request)
    now_ms = clock.now_ms()
    from_ms, to_ms = query_params.time_range(params, now_ms)
    if len(fields) > _MAX_FIELDS:
        raise HTTPException(400, f"field: found {len(fields)}, expected at most {_MAX_FIELDS}")
    width = query_params.number(params, "width", _DEFAULT_WIDTH, 1, MAX_POINTS)
    form = query_params.choice(params, "format", _FORMATS)
    times = query_params.choice(params, "times", _TIMES)
    query = ChartQuery(node, sensor, list(dict.fromkeys(fields)), from_ms, to_ms, width)
    if form == "csv":
        chart = await _read(request, lambda db: SeriesReader(db).chart(query))
        rows = series_table([(each.field, each.points) for each in chart.series], iso_8601)
        return csv_response(_file_name(chart.sensor, ""), *rows)
    missing = query_params.choice(params, "missing", _MISSING)
    try:
        chart, gaps = await _read(request, lambda db: _chart_and_gaps(db, query, now_ms))
    except HTTPException as e:
        if e.status_code == HTTPStatus.NOT_FOUND and missing == "empty":
            return _json({"sensor": f"{node}:{sensor}", "series": [], "gaps": []})
        raise
    return _json(_chart_answer(hub_of(request), chart, gaps, times))


def _chart_and_gaps(
    db: sqlite3.Connection, query: ChartQuery, now_ms: int
) -> tuple[ChartSeries, Gaps]:
    chart = SeriesReader(db).chart(query)
    times = (query.from_ms, query.to_ms)
    return chart, gaps_of(db, query.node, query.sensor, times, now_ms)


def _chart_answer(hub: Hub, chart: ChartSeries, gaps: Gaps, times: str) -> dict[str, Any]:
    series = [
        {
            "field": each.field,
            **_words(hub.state, chart.sensor, each.field),
            "limits": _limits(hub, chart.sensor, each.field),
            "points": _points(each.points, times),
        }
        for each in chart.series
    ]
    return {
        **msgspec.structs.asdict(chart),
        "series": series,
        **msgspec.structs.asdict(gaps),
        "gaps": [(*_times(times, *gap[:2]), gap[2]) for gap in gaps.gaps],
    }


async def _read(request: Request, query: Callable[[sqlite3.Connection], T]) -> T:
    async with _slots:
        try:
            return await asyncio.to_thread(_read_file, hub_of(request).history.path, query)
        except RangeTooLongError as e:
            raise HTTPException(400, str(e)) from e
        except BadDataError as e:
            raise HTTPException(404, str(e)) from e
        except sqlite3.Error as e:
            raise HTTPException(503, f"the history cannot be read: {e}") from e


def _read_file(path: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    with contextlib.closing(open_for_reading(path)) as db:
        return query(db)


def _words(state: State, sensor_id: str, field: str) -> dict[str, str]:
    """Return label and unit of a field, which are empty where it has no description."""
    node, _, sensor = sensor_id.partition(":")
    described = state.description(node, sensor)
    words = (described.fields.get(field) if described else None) or FieldDescription()
    return {"label": words.label, "unit": words.unit}


def _limits(hub: Hub, sensor_id: str, field: str) -> list[dict[str, object]]:
    """Return the limits of the alarms on a field, for the lines of a chart."""
    node, _, sensor = sensor_id.partition(":")
    described, about = hub.state.description(node, sensor), hub.state.about(node)
    area = (described.area if described else "") or (about.area if about else "")
    words = described.fields.get(field) if described else None
    limits = (
        (rule, rule.limit(words))
        for rule in hub.alarms.book.matching("field", node, sensor, area)
        if rule.covers_field(field)
    )
    return [
        {"alarm": rule.name, "severity": rule.severity, "value": value}
        for rule, value in limits
        if value is not None
    ]


def _points(points: list[Any], times: str) -> list[Any]:
    if times == "ms":
        return points
    return [(iso_8601(point[0]), *point[1:]) for point in points]


def _times(times: str, *moments_ms: int) -> list[int | str]:
    return list(moments_ms) if times == "ms" else [iso_8601(at_ms) for at_ms in moments_ms]


def _sensor(request: Request) -> tuple[str, str]:
    node, _, sensor = query_params.required(request.query_params, "sensor").partition(":")
    return node, sensor


def _file_name(sensor: str, field: str) -> str:
    return f"{'-'.join(filter(None, (sensor.replace(':', '-'), field[:80])))}.csv"


def _json(answer: object) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(answer), headers=headers, media_type="application/json")
