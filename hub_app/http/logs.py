"""`GET /api/logs`: the newest log lines of one node or of all."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.http.responses import Json, check_node, hub_of
from hub_app.live.change import Change
from hub_app.live.log_lines import LOG_LINES_PER_NODE

_DEFAULT_LIMIT = 100


async def logs(request: Request) -> Response:
    """Answer ?node=&limit=; newest line last."""
    state = hub_of(request).state
    node = request.query_params.get("node")
    if node is not None:
        check_node(state, node)
    limit = _limit(request.query_params.get("limit", str(_DEFAULT_LIMIT)))
    return Json({"logs": [_log_line(line) for line in state.logs(node, limit)]})


def _log_line(line: Change) -> dict[str, Any]:
    return {
        "node": line.node,
        "timestamp_ms": line.value.timestamp_ms,
        "level": line.value.level,
        "source": line.value.source,
        "message": line.value.message,
    }


def _limit(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    if not 1 <= number <= LOG_LINES_PER_NODE:
        raise HTTPException(
            400, f"limit: found {text[:20]!r}, expected a whole number, 1 to {LOG_LINES_PER_NODE}"
        )
    return number
