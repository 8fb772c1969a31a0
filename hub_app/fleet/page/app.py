"""Starlette application of the role fleet: its own views, and the page of each site below /site."""

from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from broker.auth.gate import Role
from bus.config.web_table import WebConfig
from hub_app.fleet.errors import FleetUnavailableError
from hub_app.fleet.page import hub_page, views
from hub_app.fleet.page.fleet import Fleet
from hub_app.fleet.page.refusals import refuse_all
from hub_app.fleet.page.site_page import FLEET_PATH, HUB_PATH, SitePage, site_links
from hub_app.http import login, status
from hub_app.http.api import export
from hub_app.http.api.operation import routes as operation_routes
from hub_app.http.api.operations import ALARMS, HISTORY, LIVE
from hub_app.http.middleware import EXCEPTION_HANDLERS, middleware
from hub_app.http.responses import PAGE_DIR
from hub_app.http.session_gate import LOG_OUT_PATH
from hub_app.http.sse import Abort
from hub_app.http.views import alarms, log, overview, sensor
from hub_app.http.views.node import view as node
from hub_app.live.fanout import MAX_CLIENTS
from hub_app.login.login import LogIn
from hub_app.login.sessions import Visitor
from hub_app.serving.client_limit import StreamPlaces

_HANDLERS: dict[Any, Any] = {
    **EXCEPTION_HANDLERS,
    HTTPException: refuse_all,
    FleetUnavailableError: refuse_all,
}
_LINKS = (("/", "Sites"), ("/alarms", "Alarms"))
# What a page reads; commands and rules are for the site's own hub, exports for SQL.
_OPERATIONS = tuple(
    each
    for each in (*LIVE, *HISTORY, *ALARMS)
    if each.method == "GET" and each.endpoint is not export.export
)


def create_app(
    fleet: Fleet,
    abort: Abort,
    *,
    log_in: LogIn | None,
    names: Iterable[str],
    settings: WebConfig,
) -> Starlette:
    """Return the application. `abort` closes the connection of a client at once."""
    root_path = settings.root_path
    app = Starlette(
        routes=[
            Route("/", views.overview),
            Route("/alarms", views.alarms),
            Route("/api/sites", views.api_sites),
            Route("/api/search", views.api_search),
            Route("/api/alarms", views.api_alarms),
            Route("/api/session", login.session),
            Route("/health", status.health),
            *login.routes(),
            Mount("/site/{site}", _Sites(fleet, abort, log_in, root_path)),
            Mount("/static", StaticFiles(directory=PAGE_DIR)),
        ],
        middleware=middleware(settings, names, log_in),
        exception_handlers=_HANDLERS,
    )
    _set_state(app, fleet.hub, abort, log_in, root_path)
    app.state.fleet = fleet
    app.state.links = _LINKS
    return app


class _Sites:
    """Passes a request on to the application of the site that its path names."""

    def __init__(self, fleet: Fleet, abort: Abort, log_in: LogIn | None, root_path: str) -> None:
        self._fleet = fleet
        self._parts = (abort, log_in)
        self._root_path = root_path
        self._streams = StreamPlaces(MAX_CLIENTS)
        self._apps: dict[SitePage, Starlette] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["site"]
        page = await self._fleet.page(name)
        if page is None:
            raise HTTPException(404, f"site: found {name[:70]!r}, which forwards to no fleet here")
        visitor: Visitor = scope["state"]["visitor"]
        # Whoever may command at a hub does so there.
        scope["state"]["visitor"] = Visitor(visitor.name, Role.VIEWER)
        await self._app_of(page)(scope, receive, send)

    def _app_of(self, page: SitePage) -> Starlette:
        for other in [other for other in self._apps if other not in self._fleet.pages]:
            del self._apps[other]
        if page not in self._apps:
            self._apps[page] = self._made(page)
        return self._apps[page]

    def _made(self, page: SitePage) -> Starlette:
        async def back(_request: Request) -> Response:
            return RedirectResponse(f"{self._root_path}/")

        app = Starlette(
            routes=[
                Route("/", overview.overview),
                Route(sensor.PREFIX + "{node}/{sensor}", sensor.sensor),
                Route(alarms.PATH, alarms.alarms),
                Route(log.PATH, hub_page.log),
                Route(HUB_PATH, hub_page.hub),
                Route(node.PREFIX + "{node}", node.node),
                Route(FLEET_PATH, back),
                Route("/api/session", login.session),
                Route("/api/broker", status.broker),
                Route(LOG_OUT_PATH, login.leave, methods=["POST"]),
                *operation_routes(_OPERATIONS),
                Mount("/static", StaticFiles(directory=PAGE_DIR)),
            ],
            exception_handlers=_HANDLERS,
        )
        _set_state(app, page.hub, *self._parts, f"{self._root_path}/site/{page.hub.name}")
        app.state.links = site_links(page.hub.name)
        app.state.streams = self._streams
        return app


def _set_state(
    app: Starlette, hub: Any, abort: Abort, log_in: LogIn | None, root_path: str
) -> None:
    app.state.hub = hub
    app.state.abort = abort
    app.state.log_in = log_in
    app.state.root_path = root_path
