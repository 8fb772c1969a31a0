"""Web server of the hub: uvicorn, with an orderly end although event streams are open."""

import logging
import socket
from collections.abc import Iterable

from broker.auth.server_tls import ServerTls
from bus import file_limit
from bus.config.settings import Config
from bus.config.web_table import WebConfig
from bus.limited_log import LimitedLog
from hub_app.http.app import create_app
from hub_app.hub import Hub
from hub_app.login.login import LogIn
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.removal.remover import Remover
from hub_app.nodes.update.updater import NodeUpdater
from hub_app.serving.bounded_server import BoundedServer
from hub_app.serving.forwarded import TrustedProxies
from hub_app.serving.places import HEALTH_PLACES, MAX_CONNECTIONS, MAX_TLS_CONNECTIONS, Places
from hub_app.serving.protocol import BoundedProtocol

logger = logging.getLogger(__name__)

# How long a browser that reads nothing may take for the end of its stream.
_STREAM_END_S = 0.3


class WebServer(BoundedServer):
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
        joins: JoinService | None = None,
        updater: NodeUpdater | None = None,
    ) -> None:
        self._hub = hub
        proxies = TrustedProxies(settings.trusted_proxies)
        most = MAX_TLS_CONNECTIONS if tls else MAX_CONNECTIONS
        room = file_limit.raise_by(most + HEALTH_PLACES)
        for_health = min(HEALTH_PLACES, room // 4)
        places: Places[BoundedProtocol] = Places(
            proxies.__contains__, total=room - for_health, for_health=for_health
        )
        app = create_app(
            hub,
            self.abort,
            log_in=log_in,
            names=own_names,
            settings=settings,
            remover=remover,
            config=config,
            joins=joins,
            updater=updater,
        )
        super().__init__(app, places, LimitedLog(logger), tls.context if tls else None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.fanout.close()
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
