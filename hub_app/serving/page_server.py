"""Web server of a page: places within the file limit, and an orderly end despite open streams."""

import logging
import socket
from collections.abc import Callable

from starlette.types import ASGIApp

from broker.auth.server_tls import ServerTls
from bus.config.web_table import WebConfig
from bus.files import file_limit
from bus.limited_log import LimitedLog
from bus.peer_address import TrustedProxies
from hub_app.serving.bounded_server import BoundedServer
from hub_app.serving.places import HEALTH_PLACES, MAX_CONNECTIONS, MAX_TLS_CONNECTIONS, Places
from hub_app.serving.protocol import BoundedProtocol

logger = logging.getLogger(__name__)

# How long a browser that reads nothing may take for the end of its stream.
_STREAM_END_S = 0.3


class PageServer(BoundedServer):
    """Server that calls `end_streams` before it waits for its connections to end.

    With `tls` its port speaks TLS, and redirects plain HTTP.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: WebConfig,
        tls: ServerTls | None,
        end_streams: Callable[[], None],
    ) -> None:
        self._end_streams = end_streams
        places = _places(settings, MAX_TLS_CONNECTIONS if tls else MAX_CONNECTIONS)
        super().__init__(app, places, LimitedLog(logger), tls.context if tls else None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
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


def _places(settings: WebConfig, most: int) -> Places[BoundedProtocol]:
    """Return `most` places and those for health checks, or fewer where files are limited."""
    proxies = TrustedProxies(settings.trusted_proxies)
    room = file_limit.raise_by(most + HEALTH_PLACES)
    for_health = min(HEALTH_PLACES, room // 4)
    return Places(proxies.__contains__, total=room - for_health, for_health=for_health)
