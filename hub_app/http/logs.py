"""`GET /api/logs`: log lines of one node or of all, by time, level, source and text, in pages.

Without a log file, as in a hub that stores nothing, the lines of the live state answer.
"""

import asyncio
import sqlite3
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.http.formats.query_params import LATEST_MS, choice, number, optional_time
from hub_app.http.responses import Json, check_node, hub_of
from hub_app.live.change import Change
from hub_app.live.log_lines import LOG_LINES_PER_NODE
from hub_app.logs import log_file
from hub_app.logs.log_file import LEVELS, LogLine, LogQuery

_DEFAULT_LIMIT = 100
_MAX_QUERIES = 2

_slots = asyncio.Semaphore(_MAX_QUERIES)


async def logs(request: Request) -> Response:
    """Answer ?node=&level=&source=&text=&from=&to=&before=&limit=; newest line last.

    `before` of the answer is that of the page before; null where there is none.
    """
    hub = hub_of(request)
    params = request.query_params
    limit = number(params, "limit", _DEFAULT_LIMIT, 1, LOG_LINES_PER_NODE)
    node = params.get("node")
    if hub.logs.path is None:
        if node is not None:
            check_node(hub.state, node)
        lines = [_live_line(line) for line in hub.state.logs(node, limit)]
        return Json({"logs": lines, "before": None})
    query = LogQuery(
        limit + 1,
        node=node or "",
        level=choice(params, "level", LEVELS),
        source=params.get("source", ""),
        text=params.get("text", ""),
        from_ms=optional_time(params, "from"),
        to_ms=optional_time(params, "to"),
        before=number(params, "before", LATEST_MS, 1, LATEST_MS),
    )
    found = await _read(request, query)
    if node is not None and not found:
        check_node(hub.state, node)
    before = found[-limit].id if len(found) > limit else None
    return Json({"logs": found[-limit:], "before": before})


async def _read(request: Request, query: LogQuery) -> list[LogLine]:
    recorder = hub_of(request).logs
    if recorder.path is None:
        return []
    async with _slots:
        try:
            await asyncio.to_thread(recorder.flush)
            return await asyncio.to_thread(log_file.read, recorder.path, query)
        except sqlite3.Error as e:
            raise HTTPException(503, f"the log cannot be read: {e}") from e


def _live_line(line: Change) -> dict[str, Any]:
    return {
        "node": line.node,
        "timestamp_ms": line.value.timestamp_ms,
        "level": line.value.level,
        "source": line.value.source,
        "message": line.value.message,
    }
