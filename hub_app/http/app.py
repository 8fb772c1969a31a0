"""Starlette application of the hub: its routes and the middleware around them."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bus.config.settings import Config
from bus.config.web_table import WebConfig
from hub_app.http import login, metrics
from hub_app.http.api import openapi
from hub_app.http.api.operation import routes as operation_routes
from hub_app.http.api.operations import OPERATIONS
from hub_app.http.guard import Guard
from hub_app.http.responses import PAGE_DIR, ignore_disconnect, refuse
from hub_app.http.session_gate import LOG_IN_PATH, LOG_OUT_PATH, SessionGate
from hub_app.http.sse import Abort
from hub_app.http.views import alarms, log, overview, sensor
from hub_app.http.views.node import view as node
from hub_app.http.views.system import view as system
from hub_app.http.views.system.report import SystemReporter
from hub_app.hub import Hub
from hub_app.live.fanout import MAX_CLIENTS
from hub_app.login.login import LogIn
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.removal.remover import Remover
from hub_app.nodes.update.updater import NodeUpdater
from hub_app.serving.client_limit import ClientLimit, StreamPlaces
from hub_app.serving.forwarded import Forwarded, TrustedProxies
from hub_app.serving.https_redirect import HttpsRedirect

_DEFAULTS = WebConfig()


def create_app(  # noqa: PLR0913 - the parts that the routes work with
    hub: Hub,
    abort: Abort = lambda _client: None,
    *,
    log_in: LogIn | None = None,
    names: Iterable[str] = (),
    settings: WebConfig = _DEFAULTS,
    remover: Remover | None = None,
    config: Config | None = None,
    joins: JoinService | None = None,
    updater: NodeUpdater | None = None,
) -> Starlette:
    """Return the application. `abort` closes the connection of a client (host, port) at once.

    Without `log_in` everyone is an operator. `names` are the host names of this machine, in
    addition to those in `settings`. `config` is for the support bundle,
    `joins` lets new machines join.
    """
    root_path = settings.root_path
    app = Starlette(
        routes=[
            Route("/", overview.overview),
            Route(sensor.PREFIX + "{node}/{sensor}", sensor.sensor),
            Route(alarms.PATH, alarms.alarms),
            Route(log.PATH, log.log),
            Route(node.PREFIX + "{node}", node.node),
            Route(system.PATH, system.system),
            Route(LOG_IN_PATH, login.show),
            Route(LOG_IN_PATH, login.enter, methods=["POST"]),
            Route(LOG_OUT_PATH, login.leave, methods=["POST"]),
            *operation_routes(OPERATIONS),
            Mount("/static", StaticFiles(directory=PAGE_DIR)),
        ],
        middleware=[
            Middleware(
                Forwarded, proxies=TrustedProxies(settings.trusted_proxies), root_path=root_path
            ),
            Middleware(Guard, names={*settings.names, *names}),
            *([Middleware(HttpsRedirect)] if settings.tls else []),
            Middleware(ClientLimit),
            Middleware(SessionGate, log_in=log_in, root_path=root_path),
        ],
        exception_handlers={HTTPException: refuse, ClientDisconnect: ignore_disconnect},
    )
    app.state.hub = hub
    app.state.exposition = metrics.Exposition(hub)
    app.state.openapi = openapi.document(OPERATIONS, root_path)
    app.state.abort = abort
    app.state.reporter = SystemReporter(hub)
    app.state.config = config
    app.state.remover = remover
    app.state.joins = joins
    app.state.updater = updater
    app.state.log_in = log_in
    app.state.root_path = root_path
    app.state.streams = StreamPlaces(MAX_CLIENTS)
    return app
