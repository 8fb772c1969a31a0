"""Web server of the hub."""

from collections.abc import Iterable

from broker.auth.server_tls import ServerTls
from bus.config.settings import Config
from bus.config.web_table import WebConfig
from hub_app.http.app import create_app
from hub_app.hub import Hub
from hub_app.login.login import LogIn
from hub_app.nodes.delivery.deliverer import Deliverer
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.removal.remover import Remover
from hub_app.nodes.update.updater import NodeUpdater
from hub_app.serving.page_server import PageServer


class WebServer(PageServer):
    """Server of the hub's page and API."""

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
        deliverer: Deliverer | None = None,
    ) -> None:
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
            deliverer=deliverer,
        )
        super().__init__(app, settings, tls, hub.fanout.close)
