"""The hub's HTTP surface: routes to the state, the page, the stream and the commands."""

import html
import time
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bus.version import VERSION
from hub_app.http import api, commands, history, login, metrics, png
from hub_app.http.guard import Guard
from hub_app.http.responses import PAGE_DIR, Json, check_node, hub_of, refuse
from hub_app.http.session_gate import LOG_IN_PATH, LOG_OUT_PATH, SessionGate, token_of
from hub_app.http.sse import Abort, EventStream
from hub_app.hub import Hub
from hub_app.live.dashboard import PageUnavailableError
from hub_app.live.fanout import MAX_CLIENTS
from hub_app.live.state import LOG_LINES_PER_NODE, view_of
from hub_app.login.login import LogIn

_DEFAULT_LOG_LIMIT = 100
# Dots a pixel: 128 x 64 pixels are 512 x 256 dots.
_OLED_SCALE = 4


def create_app(
    hub: Hub,
    abort: Abort = lambda _client: None,
    *,
    log_in: LogIn | None = None,
    names: Iterable[str] = (),
) -> Starlette:
    """Return the application. `abort` cuts the connection of a client (host, port) at once.

    Without `log_in` everyone is an operator. `names` are this machine's, see `Guard`.
    """
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/events", events),
            Route("/api/readings", readings),
            Route("/api/logs", logs),
            Route("/api/broker", broker),
            Route("/api/nodes", nodes),
            Route("/api/history", history.history),
            Route("/api/coverage", history.coverage),
            Route("/api/nodes/{node}/oled.png", oled),
            Route("/api/buzzer", commands.buzzer, methods=["POST"]),
            Route("/api/buzzer/test", commands.buzzer_test, methods=["POST"]),
            Route("/api/plugins", commands.plugins, methods=["POST"]),
            Route(LOG_IN_PATH, login.show),
            Route(LOG_IN_PATH, login.enter, methods=["POST"]),
            Route(LOG_OUT_PATH, login.leave, methods=["POST"]),
            Route("/api/session", login.session),
            Route("/health", health),
            Route("/metrics", prometheus),
            Mount("/static", StaticFiles(directory=PAGE_DIR)),
        ],
        middleware=[Middleware(Guard, names=names), Middleware(SessionGate, log_in=log_in)],
        exception_handlers={HTTPException: refuse},
    )
    app.state.hub = hub
    app.state.abort = abort
    app.state.log_in = log_in
    return app


async def page(request: Request) -> Response:
    # Where nobody has to log in, the page has no way out either.
    role = request.state.visitor.role if request.app.state.log_in is not None else None
    try:
        return HTMLResponse(await hub_of(request).page(role))
    except PageUnavailableError as e:
        text = (PAGE_DIR / "unrendered.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("{fault}", html.escape(str(e))), 503)


async def events(request: Request) -> Response:
    hub = hub_of(request)
    if hub.fanout.is_full:
        raise HTTPException(503, f"{MAX_CLIENTS} browsers are connected, no more are served")
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return EventStream(
        hub.state, hub.fanout, hub.now_ms, request.app.state.abort, lambda: is_welcome(request)
    )


def is_welcome(request: Request) -> bool:
    """Whether the session that opened a stream is still open."""
    log_in: LogIn | None = request.app.state.log_in
    return log_in is None or log_in.visitor(token_of(request)) is not None


async def readings(request: Request) -> Response:
    return Json(api.readings(hub_of(request).state))


async def nodes(request: Request) -> Response:
    hub = hub_of(request)
    return Json(api.nodes(hub.state, lambda node: hub.twins.are_at(node, hub.now_ms())))


async def broker(request: Request) -> Response:
    hub = hub_of(request)
    return Json(api.broker(hub.broker_snapshot(), hub.broker_address, connected=hub.bus_connected))


async def logs(request: Request) -> Response:
    state = hub_of(request).state
    node = request.query_params.get("node")
    if node is not None:
        check_node(state, node)
    limit = _limit(request.query_params.get("limit", str(_DEFAULT_LOG_LIMIT)))
    return Json(api.logs(state.logs(node, limit)))


async def oled(request: Request) -> Response:
    state, node = hub_of(request).state, request.path_params["node"]
    check_node(state, node)
    shown = state.picture(node)
    if shown is None:
        raise HTTPException(404, f"{node} has no display, or has not told what it shows")
    etag = f'"{view_of(shown).digest}"'
    headers = {"Cache-Control": "no-store", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    picture = png.encode(shown.width, shown.frame, _OLED_SCALE)
    return Response(picture, headers=headers, media_type="image/png")


async def prometheus(request: Request) -> Response:
    return Response(metrics.exposition(hub_of(request)), media_type=metrics.MEDIA_TYPE)


async def health(request: Request) -> Response:
    hub = hub_of(request)
    told: dict[str, Any] = {
        "status": "ok" if hub.bus_connected else "degraded",
        "bus_connected": hub.bus_connected,
        "uptime_s": round(time.monotonic() - hub.started_s, 1),
        "version": VERSION,
    }
    # A watchdog needs no session, and is told nothing of what happens here.
    if request.state.visitor is not None:
        told |= {
            "clients": len(hub.fanout),
            "nodes": len(hub.state.nodes),
            "refused": hub.state.refused,
            "outdated": hub.state.outdated,
            "undecodable": hub.decoder.undecodable,
            "history": hub.history_figures,
        }
    return Json(told, 200 if hub.bus_connected else 503)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LOG_LINES_PER_NODE):
        raise HTTPException(
            400, f"limit: found {text[:20]!r}, expected a whole number, 1 to {LOG_LINES_PER_NODE}"
        )
    return int(text)
