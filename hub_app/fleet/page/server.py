"""The role fleet as one process: the page over the fleet's database. It has no broker."""

import contextlib
import logging
import socket
import time
from functools import partial

from broker.auth.password_check import PasswordCheck
from broker.auth.server_tls import ServerTls
from bus import struct_types
from bus.config import hub_files
from bus.config.directories import Environment
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config
from bus.config.web_table import WebConfig
from bus.listen import listen_when_available
from hub_app.fleet.page.app import create_app
from hub_app.fleet.page.fleet import Fleet
from hub_app.http.guard import own_names
from hub_app.live.dashboard import Dashboard, EndCompiler, OpenRenderer
from hub_app.login import setup as login_setup
from hub_app.login.login import LogIn
from hub_app.process import page_tasks
from hub_app.process.stopper import Stopper
from hub_app.process.supervisor import Supervisor
from hub_app.serving import tls as web_tls
from hub_app.serving.page_server import PageServer

logger = logging.getLogger(__name__)


class FleetServer(PageServer):
    """Web server of the role fleet."""

    def __init__(
        self, fleet: Fleet, log_in: LogIn | None, settings: WebConfig, tls: ServerTls | None
    ) -> None:
        app = create_app(
            fleet,
            self.abort,
            log_in=log_in,
            names=own_names(socket.gethostname()),
            settings=settings,
        )
        super().__init__(app, settings, tls, fleet.end_streams)


async def run(
    config: Config,
    open_renderer: OpenRenderer,
    environment: Environment,
    end_compiler: EndCompiler = lambda: None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP. Several may serve the same database."""
    struct_types.prepare()
    stopper = Stopper()
    dashboard = Dashboard(
        partial(plugin_file, config.plugins, "dashboard"), open_renderer, end_compiler
    )
    files = hub_files.of(config, environment)
    tls = web_tls.load(config.web, files.tls_dir)
    log_in = login_setup.create(config.web, files, PasswordCheck(time.monotonic))
    fleet = Fleet(config.fleet, dashboard)
    with stopper.on_signals():
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(dashboard.close)
            stack.callback(fleet.close)
            supervisor = Supervisor()
            await stack.enter_async_context(supervisor.running({"fleet": fleet.run}))
            await stack.enter_async_context(page_tasks.running(supervisor, log_in, tls))
            server = FleetServer(fleet, log_in, config.web, tls)
            web = config.web
            listener = await listen_when_available(web.listen, web.port, key="web.port")
            stack.callback(listener.close)
            stopper.server = server
            scheme, port = "https" if tls else "http", listener.getsockname()[1]
            logger.info("fleet page on %s://%s:%d/", scheme, web.listen, port)
            await server.serve(sockets=[listener])
