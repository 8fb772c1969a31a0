"""The hub as one process and one event loop: broker, ingest, web server, and their orderly end."""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn

from broker.client import BusClient
from broker.errors import MisconfiguredError
from broker.gate import Attempt, Identity, Role
from broker.server import EmbeddedBroker
from broker.settings import Config
from broker.topics import EVERYTHING
from broker.web_settings import Web
from hub_app.app import create_app
from hub_app.dashboard import Dashboard, OpenRenderer, PageUnavailableError
from hub_app.hub import Hub
from hub_app.ingest import Crossing

logger = logging.getLogger(__name__)

_SWEEP_S = 1.0
# A browser that takes nothing is given this long to see the end of its stream.
_LAST_EVENTS_S = 0.3
# Whatever else still runs after the streams have ended, for example a command that waits.
_GRACE_S = 3
_BACKLOG = 128


class _OpenGate:
    """Lets everyone in, as the hub."""

    async def identify(self, attempt: Attempt) -> Identity:
        return Identity(attempt.username or attempt.client_id, Role.HUB)

    def may_publish(self, _identity: Identity, _topic: str) -> bool:
        return True

    def may_subscribe(self, _identity: Identity, _topic_filter: str) -> bool:
        return True

    def may_receive(self, _identity: Identity, _topic: str) -> bool:
        return True


class Server(uvicorn.Server):
    """A web server that ends its event streams before it waits for its connections to end."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        config = uvicorn.Config(
            create_app(hub, self.abort),
            log_config=None,
            access_log=False,
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


async def run(config: Config, open_renderer: OpenRenderer) -> None:
    """Serve until SIGTERM or SIGINT. Raises MisconfiguredError where a port cannot be had."""
    listener = listen(config.web)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        if config.embeds_broker:
            await stack.enter_async_context(_broker(config))
        wasm = Path(config.plugins.directory) / "dashboard" / "dashboard.wasm"
        dashboard = Dashboard(wasm, open_renderer)
        stack.push_async_callback(dashboard.close)
        hub = Hub(config.web.cards, dashboard)
        await stack.enter_async_context(_bus(config, hub))
        server = Server(hub)
        with _signals(partial(setattr, server, "should_exit", True)):
            logger.info("page on http://%s:%d/", config.web.listen, listener.getsockname()[1])
            await _serve(server, hub, listener)


def listen(web: Web) -> socket.socket:
    """Return a listening socket. Raises MisconfiguredError, which names the key to change."""
    family = socket.AF_INET6 if ":" in web.listen else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((web.listen, web.port))
        listener.listen(_BACKLOG)
    except OSError as e:
        listener.close()
        raise MisconfiguredError(
            f"web.port: cannot listen on {web.listen}:{web.port}: {e.strerror}; "
            "expected a free port"
        ) from e
    return listener


async def _serve(server: Server, hub: Hub, listener: socket.socket) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_sweep(hub)), group.create_task(_open_dashboard(hub))]
        await server.serve(sockets=[listener])
        for task in tasks:
            task.cancel()


async def _open_dashboard(hub: Hub) -> None:
    """Render once, so that the first browser need not wait for the compiler."""
    try:
        await hub.page()
    except PageUnavailableError as e:
        logger.warning("no page: %s", e)


async def _sweep(hub: Hub) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        hub.sweep()


@contextlib.asynccontextmanager
async def _broker(config: Config) -> AsyncIterator[None]:
    broker = EmbeddedBroker(config.broker, _OpenGate())
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def _bus(config: Config, hub: Hub) -> AsyncIterator[None]:
    """Feed the hub from the bus. Stopping waits for a thread, so it happens off the loop."""
    crossing = Crossing(asyncio.get_running_loop(), hub.decoder.handle)
    client = BusClient(
        config.broker_address,
        client_id=f"{config.cluster.node_id}-hub-app-{secrets.token_hex(4)}",
        keepalive_s=config.broker.keepalive_s,
        filters=(EVERYTHING,),
        on_message=crossing.put,
    )
    hub.bus = client
    client.start()
    try:
        yield
    finally:
        await asyncio.to_thread(client.stop)


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
