"""The role fleet as one process: the page over the fleet's database. It has no broker."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from functools import partial

from broker.auth.password_check import PasswordCheck
from bus import file_limit
from bus.config import hub_files
from bus.config.directories import Environment
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config
from bus.limited_log import LimitedLog
from bus.listen import listen_when_available
from bus.service_manager import stop_signals
from hub_app.fleet.page.app import create_app
from hub_app.fleet.page.fleet import Fleet
from hub_app.http.guard import own_names
from hub_app.live.dashboard import Dashboard, EndCompiler, OpenRenderer
from hub_app.login.login import LogIn
from hub_app.process.server import log_in_of
from hub_app.process.supervisor import Supervisor
from hub_app.serving import tls as web_tls
from hub_app.serving.bounded_server import BoundedServer
from hub_app.serving.forwarded import TrustedProxies
from hub_app.serving.places import HEALTH_PLACES, MAX_CONNECTIONS, Places
from hub_app.serving.protocol import BoundedProtocol

logger = logging.getLogger(__name__)

_STREAM_END_S = 0.3


class FleetServer(BoundedServer):
    """Web server of the role fleet. It ends its event streams before it waits for connections."""

    def __init__(self, fleet: Fleet, log_in: LogIn | None, config: Config) -> None:
        self._fleet = fleet
        files = hub_files.of(config, {})
        tls = web_tls.load(config.web, files.tls_dir)
        proxies = TrustedProxies(config.web.trusted_proxies)
        room = file_limit.raise_by(MAX_CONNECTIONS + HEALTH_PLACES)
        for_health = min(HEALTH_PLACES, room // 4)
        places: Places[BoundedProtocol] = Places(
            proxies.__contains__, total=room - for_health, for_health=for_health
        )
        app = create_app(
            fleet,
            self.abort,
            log_in=log_in,
            names=own_names(socket.gethostname()),
            settings=config.web,
        )
        super().__init__(app, places, LimitedLog(logger), tls.context if tls else None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for page in self._fleet.pages:
            page.hub.fanout.close()
        abort_rest = self.abort_later(_STREAM_END_S)
        try:
            await super().shutdown(sockets)
        finally:
            abort_rest.cancel()

    def abort(self, client: tuple[str, int]) -> None:
        """Close the connection of `client` and discard what it has not read."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()


async def run(
    config: Config,
    open_renderer: OpenRenderer,
    environment: Environment,
    end_compiler: EndCompiler = lambda: None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP. Several may serve the same database."""
    supervisor = Supervisor()
    dashboard = Dashboard(
        partial(plugin_file, config.plugins, "dashboard"), open_renderer, end_compiler
    )
    log_in = log_in_of(config, environment, PasswordCheck(time.monotonic))
    fleet = Fleet(config.fleet, dashboard)
    server = FleetServer(fleet, log_in, config)
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, server.stop)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(dashboard.close)
        stack.callback(fleet.close)
        await stack.enter_async_context(_following(fleet, log_in, supervisor))
        listener = await listen_when_available(config.web.listen, config.web.port, key="web.port")
        stack.callback(listener.close)
        logger.info("fleet page on http://%s:%d/", config.web.listen, listener.getsockname()[1])
        await server.serve(sockets=[listener])


@contextlib.asynccontextmanager
async def _following(
    fleet: Fleet, log_in: LogIn | None, supervisor: Supervisor
) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(supervisor.run("fleet", fleet.run))]
    if log_in is not None:
        tasks.append(asyncio.create_task(_refresh(log_in)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _refresh(log_in: LogIn) -> None:
    while True:
        await asyncio.sleep(1.0)
        log_in.refresh()
