"""uvicorn with bounded connections: base of the page's server and of the join listener."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from bus.limited_log import LimitedLog
from bus.ticks import until_tick_s
from hub_app.serving.places import Places
from hub_app.serving.protocol import BoundedProtocol
from hub_app.serving.tls_acceptor import TlsAcceptor

# For everything that is not an event stream to end, for example a command that waits for a result.
_SHUTDOWN_S = 3
_TICK_S = 1.0
# uvicorn sets the Date header in each tenth tick.
_TENTH = 0


class BoundedServer(uvicorn.Server):
    """Server whose connections have places. With `context` its port speaks TLS and plain HTTP."""

    def __init__(
        self,
        app: ASGIApp,
        places: Places[BoundedProtocol],
        limited_log: LimitedLog,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._context = context
        self._acceptors: list[TlsAcceptor] = []
        self._limited_log = limited_log
        self._protocol: Callable[..., BoundedProtocol] = partial(
            BoundedProtocol, places=places, limited_log=limited_log
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
        self._stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `server.run`: uvicorn would raise them again at its end."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Do uvicorn's periodic work and ours."""
        self._limited_log.sweep()
        return await super().on_tick(counter)

    async def main_loop(self) -> None:
        """Do the periodic work every second until `stop`, at the ticks of the other tasks."""
        while not await self.on_tick(_TENTH):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), until_tick_s(_TICK_S))

    def stop(self) -> None:
        """Make `serve` return soon."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._context is None or sockets is None:
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
            TlsAcceptor(sock, self._context, make, self._limited_log) for sock in sockets
        ]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            await acceptor.close()
        await super().shutdown(sockets)

    def abort_later(self, delay_s: float) -> asyncio.TimerHandle:
        """Close, after a delay, the connections whose client does not read what was sent."""
        return asyncio.get_running_loop().call_later(delay_s, self._abort_writers)

    def _abort_writers(self) -> None:
        for connection in list(self.server_state.connections):
            transport = connection.transport
            # A TLS connection that is closed waits for its client to confirm that.
            if transport.is_closing() or transport.get_write_buffer_size() > 0:
                transport.abort()
