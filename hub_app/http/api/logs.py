"""`GET /api/logs`: log lines of one node or of all, by time, level, source and text, in pages.

Without a log file, as in a hub that stores nothing, the lines of the live state answer.
"""

import asyncio
import sqlite3

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.history.logs import log_file
from hub_app.history.logs.log_file import LEVELS, LogLine, LogQuery
from hub_app.http.formats.query_params import (
    FROM,
    LATEST_MS,
    TO,
    Choice,
    Number,
    Parameter,
    Whole,
)
from hub_app.http.responses import Json, check_node, hub_of
from hub_app.hub import Hub
from hub_app.live.change import Change
from hub_app.live.log_lines import LOG_LINES_PER_NODE

_DEFAULT_LIMIT = 100
_MAX_QUERIES = 2

NODE = Parameter("node", "Id of a node; default: all nodes")
LEVEL = Choice("level", "Least level", choices=LEVELS)
SOURCE = Parameter("source", "Part of the source, in either case: host or plugin:NAME")
TEXT = Parameter("text", "Part of the message, in either case")
BEFORE = Number("before", "`before` of a page, for the page before", bounds=Whole(1, LATEST_MS))
LIMIT = Number("limit", "Most lines", bounds=Whole(1, LOG_LINES_PER_NODE, _DEFAULT_LIMIT))

_slots = asyncio.Semaphore(_MAX_QUERIES)


class LogPage(msgspec.Struct, frozen=True):
    """Log lines, newest last; `before` is that of the page before, None where there is none."""

    logs: list[LogLine]
    before: int | None


async def logs(request: Request) -> Response:
    """Answer ?node=&level=&source=&text=&from=&to=&before=&limit=; see `LogPage`."""
    return Json(await log_page(request, _DEFAULT_LIMIT))


async def log_page(request: Request, default_limit: int, node: str | None = None) -> LogPage:
    """Return the lines that a request asks for, of `node` where it is given.

    Raises HTTPException.
    """
    hub = hub_of(request)
    params = request.query_params
    limit = LIMIT.number(params, default_limit)
    node = NODE.read(params) if node is None else node
    if hub.logs.path is None:
        if node:
            check_node(hub.state, node)
        return LogPage([_live_line(line) for line in hub.state.logs(node or None, limit)], None)
    query = LogQuery(
        limit + 1,
        node=node,
        level=LEVEL.read(params),
        source=SOURCE.read(params),
        text=TEXT.read(params),
        from_ms=FROM.optional(params),
        to_ms=TO.optional(params),
        before=BEFORE.number(params, LATEST_MS),
    )
    found = await _read(hub, query)
    if node and not found:
        check_node(hub.state, node)
    before = found[-limit].id if len(found) > limit else None
    return LogPage(found[-limit:], before)


async def newest_lines(hub: Hub, count: int) -> list[LogLine]:
    """Return the newest lines of all nodes, newest last. Raises HTTPException."""
    if hub.logs.path is None:
        return [_live_line(line) for line in hub.state.logs(None, count)]
    return await _read(hub, LogQuery(count))


async def _read(hub: Hub, query: LogQuery) -> list[LogLine]:
    recorder = hub.logs
    if recorder.path is None:
        return []
    async with _slots:
        try:
            await asyncio.to_thread(recorder.flush)
            return await asyncio.to_thread(log_file.read, recorder.path, query)
        except sqlite3.Error as e:
            raise HTTPException(503, f"the log cannot be read: {e}") from e


def _live_line(line: Change) -> LogLine:
    said = line.value
    return LogLine(
        line.node, said.timestamp_ms, said.timestamp_ms, said.level, said.source, said.message
    )
