"""The hub as one process and one event loop: broker, ingest, web server, and their orderly end."""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import uvicorn

from broker.auth.password_check import PasswordCheck
from broker.server import EmbeddedBroker
from bus.client.client import BusClient
from bus.client.credentials import Connection
from bus.config import directories, hub_files
from bus.config.directories import Environment
from bus.config.settings import Config
from bus.contract.topics import EVERYTHING
from bus.listen import listen
from hub_app.embedding import embedded_broker, outside_broker
from hub_app.history.recorder import History
from hub_app.http.app import create_app
from hub_app.http.guard import own_names
from hub_app.hub import Hub
from hub_app.live.dashboard import Dashboard, OpenRenderer, PageUnavailableError
from hub_app.live.ingest import Crossing
from hub_app.login.login import LogIn
from hub_app.login.people import AccountHolders, People, read_password

logger = logging.getLogger(__name__)

_SWEEP_S = 1.0
# A browser that takes nothing is given this long to see the end of its stream.
_LAST_EVENTS_S = 0.3
# Whatever else still runs after the streams have ended, for example a command that waits.
_GRACE_S = 3
# Each browser has a stream and a few requests; who holds more open is told to come back.
_MAX_CONNECTIONS = 500


class Server(uvicorn.Server):
    """A web server that ends its event streams before it waits for its connections to end."""

    def __init__(self, hub: Hub, log_in: LogIn | None, names: Iterable[str]) -> None:
        self._hub = hub
        config = uvicorn.Config(
            create_app(hub, self.abort, log_in=log_in, names=names),
            log_config=None,
            # Below that it has a line for every request that is none, which strangers can send.
            log_level="error",
            access_log=False,
            limit_concurrency=_MAX_CONNECTIONS,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`: uvicorn would raise them again and spoil the exit code."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.fanout.close()
        loop = asyncio.get_running_loop()
        abort_rest = loop.call_later(_LAST_EVENTS_S, self._abort_writers)
        try:
            await super().shutdown(sockets)
        finally:
            abort_rest.cancel()

    def abort(self, client: tuple[str, int]) -> None:
        """Cut the connection of `client` without waiting for what it has not taken."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()

    def _abort_writers(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport.get_write_buffer_size() > 0:
                connection.transport.abort()


async def run(config: Config, open_renderer: OpenRenderer, environment: Environment) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises MisconfiguredError where a port cannot be had or a file of secrets cannot be used.
    """
    check = PasswordCheck(time.monotonic)
    log_in = _log_in(config, environment, check)
    listener = listen(config.web.listen, config.web.port, key="web.port")
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        broker, connection = await _connection(config, environment, check, stack)
        wasm = Path(config.plugins.directory) / "dashboard" / "dashboard.wasm"
        dashboard = Dashboard(wasm, open_renderer)
        stack.push_async_callback(dashboard.close)
        hub = Hub(config.web.cards, dashboard)
        hub.broker_address = connection.address
        if broker is not None:
            hub.broker_snapshot = broker.snapshot
        await stack.enter_async_context(_bus(config, hub, connection, environment))
        server = Server(hub, log_in, {*config.web.names, *own_names(socket.gethostname())})
        with _signals(partial(setattr, server, "should_exit", True)):
            logger.info("page on http://%s:%d/", config.web.listen, listener.getsockname()[1])
            await _serve(server, hub, log_in, listener)


def _log_in(config: Config, environment: Environment, check: PasswordCheck) -> LogIn | None:
    """Return the way in, or None where the page is open to everyone."""
    people: list[People] = []
    if config.web.password:
        people.append(read_password(Path(config.web.password)))
    if config.web.login:
        people.append(AccountHolders(hub_files.of(config, environment).accounts))
    return LogIn(people, check, time.monotonic) if people else None


async def _serve(server: Server, hub: Hub, log_in: LogIn | None, listener: socket.socket) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sweep(hub, log_in)), group.create_task(_open_dashboard(hub))]
        await server.serve(sockets=[listener])
        for task in tasks:
            task.cancel()


async def _open_dashboard(hub: Hub) -> None:
    """Render once, so that the first browser need not wait for the compiler."""
    try:
        await hub.page()
    except PageUnavailableError as e:
        logger.warning("no page: %s", e)


async def _sweep(hub: Hub, log_in: LogIn | None) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        hub.sweep()
        if log_in is not None:
            log_in.refresh()


async def _connection(
    config: Config,
    environment: Environment,
    check: PasswordCheck,
    stack: contextlib.AsyncExitStack,
) -> tuple[EmbeddedBroker | None, Connection]:
    """Return how the hub's own client gets onto the bus, and the broker where it is our own."""
    if not config.embeds_broker:
        return None, outside_broker(config, environment)
    return await stack.enter_async_context(embedded_broker(config, environment, check))


@contextlib.asynccontextmanager
async def _bus(
    config: Config, hub: Hub, connection: Connection, environment: Environment
) -> AsyncIterator[None]:
    """Feed the hub and its history. Stopping waits for threads, so it happens off the loop."""
    crossing = Crossing(asyncio.get_running_loop(), hub.decoder.handle)
    history = _history(config, hub, environment)

    def hear(topic: str, payload: bytes) -> None:
        crossing.put(topic, payload)
        history.offer(topic, payload)

    client = BusClient(
        connection.address,
        client_id=_client_id(config, connection),
        login=connection.login,
        keepalive_s=config.broker.keepalive_s,
        filters=(EVERYTHING,),
        on_message=hear,
    )
    hub.bus = client
    await asyncio.to_thread(history.start)
    client.start()
    try:
        yield
    finally:
        # The last commit is answered while there is a bus.
        await asyncio.to_thread(history.stop)
        await asyncio.to_thread(client.stop)


def _history(config: Config, hub: Hub, environment: Environment) -> History:
    path = directories.state_dir(config, environment) / "history.db"
    history = History(config.cluster.node_id, path, config.history, hub.answer, hub.wall_ms)
    hub.history_file, hub.history_figures = path, history.figures
    return history


def _client_id(config: Config, connection: Connection) -> str:
    """Return the user's name, which the login is bound to; without one, a name of this run."""
    if connection.login is not None and connection.login.username:
        return connection.login.username
    return f"{config.cluster.node_id}-hub-app-{secrets.token_hex(4)}"


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGTERM, signal.SIGINT)
    for number in wanted:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)
