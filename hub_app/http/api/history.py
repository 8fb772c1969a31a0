"""`GET /api/history` and `GET /api/coverage`, answered as JSON or CSV.

Queries run off the event loop, a few at a time, each on a database connection of its own.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus import clock
from bus.clock import DAY_MS
from bus.contract.description import FieldDescription
from bus.errors import BadDataError, UnavailableError
from hub_app.history.coverage.query import LONGEST_COVERAGE_MS
from hub_app.history.query.gaps import Gaps
from hub_app.history.query.queries import HistoryQueries
from hub_app.history.query.resolution import RangeTooLongError
from hub_app.history.query.series import (
    DEFAULT_POINTS,
    MAX_POINTS,
    ChartQuery,
    ChartSeries,
    SeriesQuery,
)
from hub_app.http.api.history_answers import At, Chart, ChartField, FieldHistory, LimitLine
from hub_app.http.formats.csv_table import csv_response, series_table
from hub_app.http.formats.query_params import (
    Choice,
    Number,
    Parameter,
    Whole,
    iso_8601,
    time_range,
)
from hub_app.http.responses import Json, hub_of
from hub_app.hub import Hub
from hub_app.live.state import State

_MAX_QUERIES = 2
_MAX_FIELDS = 64

NODE = Parameter("node", "Id of a node", is_required=True)
SENSOR = Parameter("sensor", "Id of a sensor: pi4:dht22-gpio4", is_required=True)
FIELD = Parameter("field", "Name of a field; may be repeated", is_list=True)
WIDTH = Number(
    "width", "Most points of each field, the pixels of a chart", bounds=Whole(1, MAX_POINTS, 1000)
)
POINTS = Number(
    "points", "Most points of a single field", bounds=Whole(1, MAX_POINTS, DEFAULT_POINTS)
)
FORMAT = Choice("format", "JSON or a CSV table", choices=("json", "csv"))
TIMES = Choice("times", "Times of points and gaps in JSON", choices=("ms", "iso"))
MISSING = Choice(
    "missing", "Answer where nothing is stored: 404, or no series", choices=("error", "empty")
)

_slots = asyncio.Semaphore(_MAX_QUERIES)
T = TypeVar("T")


async def history(request: Request) -> Response:
    """Answer the query parameters that docs/history.md describes."""
    params = request.query_params
    fields = params.getlist(FIELD.name)
    if len(fields) == 1 and WIDTH.name not in params:
        return await _one_field(request, fields[0])
    return await _chart(request, fields)


async def coverage(request: Request) -> Response:
    """Answer ?node=&from=&to=; `from` and `to` default to the last day."""
    params = request.query_params
    node = NODE.read(params)
    now_ms = clock.now_ms()
    from_ms, to_ms = time_range(params, now_ms)
    if to_ms - from_ms > LONGEST_COVERAGE_MS:
        days = LONGEST_COVERAGE_MS // DAY_MS
        raise HTTPException(400, f"from: found a range of more than {days} days before to")
    times = (from_ms, to_ms)
    return Json(await read_history(request, lambda found: found.coverage(node, times, now_ms)))


async def _one_field(request: Request, field: str) -> Response:
    """Answer at most `points` points of one field."""
    params = request.query_params
    node, sensor = _sensor(request)
    from_ms, to_ms = time_range(params, clock.now_ms())
    if not field:
        raise HTTPException(400, "field: found nothing, expected one")
    points = POINTS.number(params)
    form = FORMAT.read(params)
    times = TIMES.read(params)
    query = SeriesQuery(node, sensor, field, from_ms, to_ms, points)
    series = await read_history(request, lambda found: found.series(query))
    if form == "csv":
        header = ("timestamp_ms", field, "low", "high", "count")
        return csv_response(_file_name(series.sensor, field), header, series.points)
    words = words_of(hub_of(request).state, series.sensor, field)
    answer = msgspec.structs.asdict(series) | {"points": _points(series.points, times)}
    return Json(FieldHistory(**answer, label=words.label, unit=words.unit))


async def _chart(request: Request, fields: list[str]) -> Response:
    """Answer at most `width` points of several fields, and the gaps."""
    params = request.query_params
    node, sensor = _sensor(request)
    now_ms = clock.now_ms()
    from_ms, to_ms = time_range(params, now_ms)
    if len(fields) > _MAX_FIELDS:
        raise HTTPException(400, f"field: found {len(fields)}, expected at most {_MAX_FIELDS}")
    width = WIDTH.number(params)
    form = FORMAT.read(params)
    times = TIMES.read(params)
    query = ChartQuery(node, sensor, list(dict.fromkeys(fields)), from_ms, to_ms, width)
    if form == "csv":
        chart = await read_history(request, lambda found: found.chart(query))
        rows = series_table([(each.field, each.points) for each in chart.series], iso_8601)
        return csv_response(_file_name(chart.sensor, ""), *rows)
    missing = MISSING.read(params)
    try:
        chart, gaps = await read_history(
            request, lambda found: _chart_and_gaps(found, query, now_ms)
        )
    except HTTPException as e:
        if e.status_code == HTTPStatus.NOT_FOUND and missing == "empty":
            return Json(Chart(f"{node}:{sensor}", [], []))
        raise
    return Json(_chart_answer(hub_of(request), chart, gaps, times))


def _chart_and_gaps(
    history: HistoryQueries, query: ChartQuery, now_ms: int
) -> tuple[ChartSeries, Gaps]:
    return history.chart(query), history.gaps(query, now_ms)


def _chart_answer(hub: Hub, chart: ChartSeries, gaps: Gaps, times: str) -> Chart:
    series = []
    for each in chart.series:
        words = words_of(hub.state, chart.sensor, each.field)
        limits = _limits(hub, chart.sensor, each.field)
        points = _points(each.points, times)
        series.append(ChartField(each.field, words.label, words.unit, limits, points))
    return Chart(
        chart.sensor,
        series,
        [(*_times(times, *gap[:2]), gap[2]) for gap in gaps.gaps],
        from_ms=chart.from_ms,
        to_ms=chart.to_ms,
        source=chart.source,
        bucket_ms=chart.bucket_ms,
        interval_ms=gaps.interval_ms,
        left_out=gaps.left_out,
    )


async def read_history(request: Request, query: Callable[[HistoryQueries], T]) -> T:
    """Return what `query` reads from the history. Raises HTTPException."""
    opened = hub_of(request).open_history

    def read() -> T:
        with opened() as history:
            return query(history)

    return await read_in_thread(read)


async def read_in_thread(read: Callable[[], T]) -> T:
    """Return what `read` reads from the history, a few at a time. Raises HTTPException."""
    async with _slots:
        try:
            return await asyncio.to_thread(read)
        except RangeTooLongError as e:
            raise HTTPException(400, str(e)) from e
        except BadDataError as e:
            raise HTTPException(404, str(e)) from e
        except (sqlite3.Error, UnavailableError) as e:
            raise HTTPException(503, f"the history cannot be read: {e}") from e


def words_of(state: State, sensor_id: str, field: str) -> FieldDescription:
    """Return the description of a field, an empty one where it has none."""
    node, _, sensor = sensor_id.partition(":")
    described = state.description(node, sensor)
    return (described.fields.get(field) if described else None) or FieldDescription()


def area_of(state: State, node: str, sensor: str) -> str:
    """Return the area of a sensor, which is that of its node where it has none of its own."""
    described, about = state.description(node, sensor), state.about(node)
    return (described.area if described else "") or (about.area if about else "")


def _limits(hub: Hub, sensor_id: str, field: str) -> list[LimitLine]:
    """Return the limits of the alarms on a field, for the lines of a chart."""
    node, _, sensor = sensor_id.partition(":")
    described = hub.state.description(node, sensor)
    words = described.fields.get(field) if described else None
    limits = (
        (rule, rule.limit(words))
        for rule in hub.alarms.book.matching(
            "field", node, sensor, area_of(hub.state, node, sensor)
        )
        if rule.covers_field(field)
    )
    return [
        LimitLine(rule.name, rule.severity, value) for rule, value in limits if value is not None
    ]


def _points(points: list[Any], times: str) -> list[Any]:
    if times == "ms":
        return points
    return [(iso_8601(point[0]), *point[1:]) for point in points]


def _times(times: str, from_ms: int, to_ms: int) -> tuple[At, At]:
    return (from_ms, to_ms) if times == "ms" else (iso_8601(from_ms), iso_8601(to_ms))


def _sensor(request: Request) -> tuple[str, str]:
    node, _, sensor = SENSOR.read(request.query_params).partition(":")
    return node, sensor


def _file_name(sensor: str, field: str) -> str:
    return f"{'-'.join(filter(None, (sensor.replace(':', '-'), field[:80])))}.csv"
