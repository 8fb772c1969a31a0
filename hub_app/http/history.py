"""`GET /api/history` and `GET /api/coverage`, answered as JSON or CSV.

Queries run off the event loop, a few at a time, each on a database connection of its own.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus import clock
from bus.contract.description import FieldDescription
from bus.errors import BadDataError
from hub_app.history.coverage.query import LONGEST_COVERAGE_MS, coverage_of
from hub_app.history.query import DEFAULT_POINTS, MAX_POINTS, Series, SeriesQuery, SeriesReader
from hub_app.history.schema import open_for_reading
from hub_app.http.formats.csv_table import csv_response
from hub_app.http.responses import hub_of
from hub_app.live.state import State

_MAX_QUERIES = 2
_LATEST_MS = 2**53
_DAY_MS = 86_400_000
_FORMATS = ("json", "csv")

_slots = asyncio.Semaphore(_MAX_QUERIES)
T = TypeVar("T")


async def history(request: Request) -> Response:
    """Answer ?sensor=&field=&from=&to=&points=&format=; `from` and `to` default to the last day."""
    params = request.query_params
    node, _, sensor = _required(params, "sensor").partition(":")
    now_ms = clock.now_ms()
    to_ms = _number(params, "to", now_ms, 1, _LATEST_MS)
    from_ms = _number(params, "from", max(0, to_ms - _DAY_MS), 0, to_ms - 1)
    points = _number(params, "points", DEFAULT_POINTS, 1, MAX_POINTS)
    query = SeriesQuery(node, sensor, _required(params, "field"), from_ms, to_ms, points)
    form = params.get("format", "json")
    if form not in _FORMATS:
        raise HTTPException(400, f"format: found {form[:20]!r}, expected json or csv")
    series = await _read(request, lambda db: SeriesReader(db).series(query))
    return _csv(series) if form == "csv" else _json(_described(hub_of(request).state, series))


async def coverage(request: Request) -> Response:
    """Answer ?node=&from=&to=; `from` and `to` default to the last day."""
    params = request.query_params
    node = _required(params, "node")
    now_ms = clock.now_ms()
    to_ms = _number(params, "to", now_ms, 1, _LATEST_MS)
    from_ms = _number(params, "from", max(0, to_ms - _DAY_MS), 0, to_ms - 1)
    if to_ms - from_ms > LONGEST_COVERAGE_MS:
        days = LONGEST_COVERAGE_MS // _DAY_MS
        raise HTTPException(400, f"from: found a range of more than {days} days before to")
    return _json(await _read(request, lambda db: coverage_of(db, node, from_ms, to_ms, now_ms)))


async def _read(request: Request, query: Callable[[sqlite3.Connection], T]) -> T:
    async with _slots:
        try:
            return await asyncio.to_thread(_read_file, hub_of(request).history.path, query)
        except BadDataError as e:
            raise HTTPException(404, str(e)) from e
        except sqlite3.Error as e:
            raise HTTPException(503, f"the history cannot be read: {e}") from e


def _read_file(path: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    with contextlib.closing(open_for_reading(path)) as db:
        return query(db)


def _described(state: State, series: Series) -> dict[str, object]:
    """Return a series with label and unit, which are empty where the field has no description."""
    node, _, sensor = series.sensor.partition(":")
    described = state.description(node, sensor)
    field = described.fields.get(series.field) if described else None
    words = field or FieldDescription()
    return {**msgspec.structs.asdict(series), "label": words.label, "unit": words.unit}


def _json(answer: object) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(answer), headers=headers, media_type="application/json")


def _csv(series: Series) -> Response:
    """Return a table with a header line, for a spreadsheet."""
    header = ("timestamp_ms", series.field, "low", "high", "count")
    name = f"{series.sensor.replace(':', '-')}-{series.field[:80]}.csv"
    return csv_response(name, header, series.points)


def _required(params: QueryParams, name: str) -> str:
    found = params.get(name, "")
    if not found:
        raise HTTPException(400, f"{name}: found nothing, expected one")
    return found


def _number(params: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = params.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else -1
    if not least <= number <= most:
        raise HTTPException(
            400, f"{name}: found {text[:20]!r}, expected a whole number, {least} to {most}"
        )
    return number
