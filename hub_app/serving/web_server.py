"""Web server of the hub: uvicorn, with an orderly end although event streams are open."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable, Iterator
from functools import partial

import uvicorn

from broker.auth.server_tls import ServerTls
from bus import file_limit
from bus.config.settings import Config
from bus.config.web_table import WebConfig
from bus.limited_log import LimitedLog
from hub_app.http.app import create_app
from hub_app.hub import Hub
from hub_app.login.login import LogIn
from hub_app.removal.remover import Remover
from hub_app.serving.forwarded import TrustedProxies
from hub_app.serving.places import HEALTH_PLACES, MAX_CONNECTIONS, MAX_TLS_CONNECTIONS, Places
from hub_app.serving.protocol import BoundedProtocol
from hub_app.serving.tls_acceptor import TlsAcceptor

logger = logging.getLogger(__name__)

# How long a browser that reads nothing may take for the end of its stream.
_STREAM_END_S = 0.3
# The same for everything else, for example a command that waits for its result.
_SHUTDOWN_S = 3


class WebServer(uvicorn.Server):
    """Server that ends its event streams before it waits for its connections to end.

    With `tls` its port speaks TLS, and redirects plain HTTP.
    """

    def __init__(  # noqa: PLR0913 - the parts that the page works with
        self,
        hub: Hub,
        log_in: LogIn | None,
        settings: WebConfig,
        own_names: Iterable[str],
        *,
        remover: Remover | None = None,
        tls: ServerTls | None = None,
        config: Config | None = None,
    ) -> None:
        self._hub = hub
        self._tls = tls
        self._acceptors: list[TlsAcceptor] = []
        self._limited_log = LimitedLog(logger)
        proxies = TrustedProxies(settings.trusted_proxies)
        most = MAX_TLS_CONNECTIONS if tls else MAX_CONNECTIONS
        room = file_limit.raise_by(most + HEALTH_PLACES)
        for_health = min(HEALTH_PLACES, room // 4)
        places: Places[BoundedProtocol] = Places(
            proxies.__contains__, total=room - for_health, for_health=for_health
        )
        self._protocol = partial(BoundedProtocol, places=places, limited_log=self._limited_log)
        app = create_app(
            hub,
            self.abort,
            log_in=log_in,
            names=own_names,
            settings=settings,
            remover=remover,
            config=config,
        )
        serving = uvicorn.Config(
            app,
            # A partial makes the protocol of each connection, as the class would.
            http=self._protocol,  # type: ignore[arg-type]
            log_config=None,
            # At a lower level it logs every invalid request, which any stranger can send.
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            # `hub_app.serving.forwarded` reads the headers of the proxies.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        super().__init__(serving)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `server.run`: uvicorn would raise them again at its end."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Do uvicorn's periodic work, ten times a second, and ours."""
        self._limited_log.sweep()
        return await super().on_tick(counter)

    def stop(self) -> None:
        """Make `serve` return soon."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._tls is None or sockets is None:
            await super().startup(sockets)
            return
        await super().startup(sockets=[])
        make = partial(
            self._protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self._acceptors = [
            TlsAcceptor(sock, self._tls.context, make, self._limited_log) for sock in sockets
        ]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            await acceptor.close()
        self._hub.fanout.close()
        loop = asyncio.get_running_loop()
        abort_rest = loop.call_later(_STREAM_END_S, self._abort_writers)
        try:
            await super().shutdown(sockets)
        finally:
            abort_rest.cancel()

    def abort(self, client: tuple[str, int]) -> None:
        """Close the connection of `client` and discard what it has not read."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()

    def _abort_writers(self) -> None:
        for connection in list(self.server_state.connections):
            transport = connection.transport
            # A TLS connection that is closed waits for its client to confirm that.
            if transport.is_closing() or transport.get_write_buffer_size() > 0:
                transport.abort()
