"""`GET /api/export`: all stored values of a range as CSV, JSON, InfluxDB lines or Parquet.

The answer is a stream: a window of the history is read in a thread, sent, and the next one read
when the client has taken it.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bus import clock
from bus.install.hint import install_extra
from hub_app.history.query.export import ExportQuery, sensors_of
from hub_app.history.query.lookup import SensorFields
from hub_app.history.schema import open_for_reading
from hub_app.http.api.history import area_of, read_in_thread, words_of
from hub_app.http.formats import influx
from hub_app.http.formats.csv_table import content_disposition
from hub_app.http.formats.export_formats import FORMATS, PARQUET, ExportFormat, export_chunks
from hub_app.http.formats.export_rows import ExportWriter, SensorWords
from hub_app.http.formats.query_params import Choice, Parameter, time_range
from hub_app.http.responses import hub_of
from hub_app.http.sse import Abort
from hub_app.live.state import State
from hub_app.serving.forwarded import PEER

logger = logging.getLogger(__name__)

_MAX_EXPORTS = 2
_MAX_NAMES = 200

_places = asyncio.Semaphore(_MAX_EXPORTS)


MEDIA_TYPES = {"text/csv": str, influx.MEDIA_TYPE: str, PARQUET: bytes}
FORMAT = Choice(
    "format",
    "CSV, JSON, InfluxDB line protocol, or Parquet, which needs the extra parquet on the hub",
    choices=tuple(FORMATS),
)
SENSOR = Parameter(
    "sensor",
    "Id of a sensor: pi4:dht22-gpio4; may be repeated; default: all sensors",
    is_list=True,
)
FIELD = Parameter("field", "Name of a field; may be repeated; default: all fields", is_list=True)


async def export(request: Request) -> Response:
    form = FORMATS[FORMAT.read(request.query_params)]
    query = _query(request)
    path = hub_of(request).history.path
    sensors = await read_in_thread(lambda: _sensors(path, query))
    writer = await _writer(form)
    name = f"harvester-{query.from_ms}-{query.to_ms}.{form.suffix}"
    headers = {"Cache-Control": "no-store", "Content-Disposition": content_disposition(name)}
    if request.method == "HEAD":
        return Response(headers=headers, media_type=form.media_type)
    if _places.locked():
        raise HTTPException(503, f"{_MAX_EXPORTS} exports are being made; try again later")
    state = hub_of(request).state
    words = {name: _words(state, name, sensor) for name, sensor in sensors.items()}

    chunks = export_chunks(path, query, sensors, writer, words)
    return _Export(chunks, headers, form.media_type, request.app.state.abort)


def _sensors(path: Path, query: ExportQuery) -> dict[str, SensorFields]:
    with contextlib.closing(open_for_reading(path)) as db:
        return sensors_of(db, query)


def _query(request: Request) -> ExportQuery:
    params = request.query_params
    from_ms, to_ms = time_range(params, clock.now_ms())
    lists = {each.name: params.getlist(each.name) for each in (SENSOR, FIELD)}
    for name, found in lists.items():
        if len(found) > _MAX_NAMES:
            raise HTTPException(400, f"{name}: found {len(found)}, expected at most {_MAX_NAMES}")
    return ExportQuery(tuple(lists[SENSOR.name]), tuple(lists[FIELD.name]), from_ms, to_ms)


async def _writer(form: ExportFormat) -> ExportWriter:
    try:
        return await asyncio.to_thread(form.writer)
    except ModuleNotFoundError as e:
        raise HTTPException(
            HTTPStatus.NOT_IMPLEMENTED,
            f"format: {form.suffix} needs the package {e.name} on the hub; run there:"
            f" {install_extra(form.suffix)}",
        ) from e


def _words(state: State, name: str, sensor: SensorFields) -> SensorWords:
    node, _, sensor_id = name.partition(":")
    units = {field: words_of(state, name, field).unit for field in sensor.fields}
    return SensorWords(area_of(state, node, sensor_id), units)


class _Export(StreamingResponse):
    """Stream of `chunks`, which are made in a thread, while it has one of the few places."""

    def __init__(
        self, chunks: Iterator[bytes], headers: dict[str, str], media_type: str, abort: Abort
    ) -> None:
        super().__init__(_in_thread(chunks), headers=headers, media_type=media_type)
        self._abort = abort

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with _places:
                await super().__call__(scope, receive, send)
        except ClientDisconnect:
            # It left, or took nothing for as long as `hub_app.serving.protocol` allows.
            return
        except sqlite3.Error as e:
            # The status is sent already: a body without its end tells the client.
            logger.warning("ended an export: the history cannot be read: %s", e)
            self._abort(scope["state"][PEER])


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # Where the client leaves, a thread may still be reading: the database is closed when it is
    # done, as nobody else refers to `chunks`.
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        if chunk:
            yield chunk
