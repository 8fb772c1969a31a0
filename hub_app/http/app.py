"""Starlette application of the hub: its routes and the middleware around them."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bus.config.settings import Config
from bus.config.web_table import WebConfig
from hub_app.http import login, metrics
from hub_app.http.api import openapi
from hub_app.http.api.operation import routes as operation_routes
from hub_app.http.api.operations import OPERATIONS
from hub_app.http.middleware import EXCEPTION_HANDLERS, middleware
from hub_app.http.responses import PAGE_DIR
from hub_app.http.sse import Abort
from hub_app.http.views import alarms, log, overview, sensor
from hub_app.http.views.node import view as node
from hub_app.http.views.shell import LINKS
from hub_app.http.views.system import view as system
from hub_app.http.views.system.report import SystemReporter
from hub_app.hub import Hub
from hub_app.live.fanout import MAX_CLIENTS
from hub_app.login.login import LogIn
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.removal.remover import Remover
from hub_app.nodes.update.updater import NodeUpdater
from hub_app.serving.client_limit import StreamPlaces

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
    deliverer: Deliverer | None = None,
) -> Starlette:
    """Return the application. `abort` closes the connection of a client (host, port) at once.

    Without `log_in` everyone is an operator. `names` are the host names of this machine, in
    addition to those in `settings`. `config` is for the support bundle, `joins` lets
    new machines join.
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
            *login.routes(),
            *operation_routes(OPERATIONS),
            Mount("/static", StaticFiles(directory=PAGE_DIR)),
        ],
        middleware=middleware(settings, names, log_in),
        exception_handlers=EXCEPTION_HANDLERS,
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
    app.state.deliverer = deliverer
    app.state.log_in = log_in
    app.state.root_path = root_path
    app.state.links = LINKS
    app.state.streams = StreamPlaces(MAX_CLIENTS)
    return app
