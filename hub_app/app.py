"""The hub's HTTP surface: routes to the state, the page, the stream and the buzzer."""

import html
import time
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from broker.commands import PATTERNS
from broker.errors import BadCommandError
from broker.version import VERSION
from hub_app import api, png
from hub_app.commanding import BusDownError, NoAnswerError
from hub_app.dashboard import PageUnavailableError
from hub_app.fanout import MAX_CLIENTS
from hub_app.guard import Guard
from hub_app.hub import Hub
from hub_app.sse import Abort, EventStream
from hub_app.state import LOG_LINES_PER_NODE, State, view_of

PAGE_DIR = Path(__file__).with_name("page")

_DEFAULT_LOG_LIMIT = 100
# Dots a pixel: 128 x 64 pixels are 512 x 256 dots.
_OLED_SCALE = 4
# A command is a few words.
_MAX_BODY_BYTES = 4096

# Which status answers which fault of a command.
_COMMAND_FAULTS = {BadCommandError: 502, BusDownError: 503, NoAnswerError: 504}


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content)


class BuzzerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /api/buzzer."""

    pattern: str
    node: str | None = None


def create_app(hub: Hub, abort: Abort = lambda _client: None) -> Starlette:
    """Return the application. `abort` cuts the connection of a client (host, port) at once."""
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/events", events),
            Route("/api/readings", readings),
            Route("/api/logs", logs),
            Route("/api/nodes", nodes),
            Route("/api/nodes/{node}/oled.png", oled),
            Route("/api/buzzer", buzzer, methods=["POST"]),
            Route("/api/buzzer/test", buzzer_test, methods=["POST"]),
            Route("/health", health),
            Mount("/static", StaticFiles(directory=PAGE_DIR)),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={HTTPException: refuse},
    )
    app.state.hub = hub
    app.state.abort = abort
    return app


async def refuse(_request: Request, exc: Exception) -> Response:
    """Answer a refused request with one JSON line, whatever refused it."""
    if not isinstance(exc, HTTPException):
        raise exc
    return Json({"ok": False, "error": exc.detail}, exc.status_code, exc.headers)


async def page(request: Request) -> Response:
    try:
        return HTMLResponse(await _hub(request).page(), headers={"Cache-Control": "no-store"})
    except PageUnavailableError as e:
        text = (PAGE_DIR / "unrendered.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{fault}", html.escape(str(e))), 503)


async def events(request: Request) -> Response:
    hub = _hub(request)
    if hub.fanout.is_full:
        raise HTTPException(503, f"{MAX_CLIENTS} browsers are connected, no more are served")
    return EventStream(hub.state, hub.fanout, hub.now_ms, request.app.state.abort)


async def readings(request: Request) -> Response:
    return Json(api.readings(_hub(request).state))


async def nodes(request: Request) -> Response:
    return Json(api.nodes(_hub(request).state))


async def logs(request: Request) -> Response:
    state = _hub(request).state
    node = request.query_params.get("node")
    if node is not None:
        _check_node(state, node)
    limit = _limit(request.query_params.get("limit", str(_DEFAULT_LOG_LIMIT)))
    return Json(api.logs(state.logs(node, limit)))


async def oled(request: Request) -> Response:
    state, node = _hub(request).state, request.path_params["node"]
    _check_node(state, node)
    shown = state.picture(node)
    if shown is None:
        raise HTTPException(404, f"{node} has no display, or has not told what it shows")
    etag = f'"{view_of(shown).digest}"'
    headers = {"Cache-Control": "no-store", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    picture = png.encode(shown.width, shown.frame, _OLED_SCALE)
    return Response(picture, headers=headers, media_type="image/png")


async def buzzer(request: Request) -> Response:
    wanted = await _wanted(request)
    return await _sound(_hub(request), wanted.node, wanted.pattern)


async def buzzer_test(request: Request) -> Response:
    return await _sound(_hub(request), None, "beep")


async def health(request: Request) -> Response:
    hub = _hub(request)
    return Json(
        {
            "status": "ok" if hub.bus_connected else "degraded",
            "bus_connected": hub.bus_connected,
            "uptime_s": round(time.monotonic() - hub.started_s, 1),
            "version": VERSION,
            "clients": len(hub.fanout),
            "nodes": len(hub.state.nodes),
            "refused": hub.state.refused,
            "outdated": hub.state.outdated,
            "undecodable": hub.decoder.undecodable,
        },
        200 if hub.bus_connected else 503,
    )


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LOG_LINES_PER_NODE):
        raise HTTPException(
            400, f"limit: found {text[:20]!r}, expected a whole number, 1 to {LOG_LINES_PER_NODE}"
        )
    return int(text)


async def _wanted(request: Request) -> BuzzerBody:
    action = request.query_params.get("action")
    if action is not None:
        return BuzzerBody(action, request.query_params.get("node"))
    try:
        return msgspec.json.decode(await _body(request), type=BuzzerBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise HTTPException(
            400, f'found no command: {e}; expected ?action=beep or {{"pattern": "beep"}}'
        ) from e


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413, f"expected at most {_MAX_BODY_BYTES} bytes")
    return body


async def _sound(hub: Hub, asked_node: str | None, pattern: str) -> Response:
    if pattern not in PATTERNS:
        raise HTTPException(
            400, f"pattern: found {pattern[:40]!r}, expected one of {_listed(PATTERNS)}"
        )
    node = asked_node or api.default_buzzer_node(hub.state)
    if node is None:
        raise HTTPException(404, "no node has a buzzer")
    _check_node(hub.state, node)
    try:
        result = await hub.commander.sound(node, pattern)
    except (BadCommandError, BusDownError, NoAnswerError) as e:
        raise HTTPException(_COMMAND_FAULTS[type(e)], str(e)) from e
    return Json({"ok": True, "node": node, "pattern": pattern, "finished_ms": result.finished_ms})


def _check_node(state: State, node: str) -> None:
    if node not in state.nodes:
        raise HTTPException(
            404, f"node: found {node[:70]!r}, expected one of {_listed(state.nodes)}"
        )


def _listed(names: Any) -> str:
    return ", ".join(names) or "none yet"
