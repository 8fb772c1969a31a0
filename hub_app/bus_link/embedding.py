"""Embedding of the broker in the hub: accounts, certificate, store; or an outside broker."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

import msgspec

from broker.auth import enrolment, server_tls, tokens
from broker.auth.account_gate import AccountGate
from broker.auth.accounts import HUB_USER
from broker.auth.open_topics import Scope
from broker.auth.password_check import PasswordCheck
from broker.auth.server_tls import ServerTls
from broker.embedded.net.listener import Listener
from broker.embedded.net.loopback import is_loopback
from broker.embedded.net.websocket.handshake import WebSocketPolicy
from broker.server import EmbeddedBroker
from bus.client import credentials
from bus.client.credentials import Connection
from bus.client.login import Login
from bus.config import hub_files
from bus.config.broker_table import LOOPBACK, BrokerConfig
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import private_file
from bus.peer_address import TrustedProxies
from bus.ticks import next_tick
from hub_app.bus_link import worker
from hub_app.history.query import known_names
from hub_app.history.query.latest import LatestReadings
from hub_app.process.supervisor import Supervisor

logger = logging.getLogger(__name__)

_REFRESH_S = 0.5
# Listening on one of these takes connections to LOOPBACK.
_HOLDS_LOOPBACK = frozenset({"0.0.0.0", "::", LOOPBACK, "localhost"})  # noqa: S104 - names them


@contextlib.asynccontextmanager
async def embedded_broker(
    config: Config,
    environment: Mapping[str, str],
    check: PasswordCheck,
    supervisor: Supervisor,
) -> AsyncIterator[tuple[EmbeddedBroker, Connection]]:
    """Open the broker, which serves nobody until its `listen` is called.

    Yields it with the connection data of the hub's own client, valid for this run. `check` is
    shared with the page: one rate limit for both. Raises MisconfiguredError where a port, a file
    or a folder cannot be used.
    """
    files = hub_files.of(config, environment)
    own_credentials = credentials.path_for(config, environment)
    enrolment.ensure(files.accounts, config.cluster.node_id, own_credentials)
    token = tokens.new_token()
    gate = AccountGate(
        files.accounts,
        check,
        hub_token=token,
        allow_local=config.broker.allow_local,
        scope=Scope(config.homeassistant.prefix, tuple(config.broker.open_roots)),
    )
    tls = server_tls.load(files.tls_dir, config.broker.client_certificates)
    private_file.make_directory(files.broker)
    broker = EmbeddedBroker(
        config.broker,
        gate,
        store_dir=files.broker,
        retained_source=LatestReadings(files.state_dir / known_names.FILE_NAME),
        listeners=_listeners(config, tls),
    )
    gate.on_revoked = broker.disconnect
    await broker.open()
    refreshing = asyncio.create_task(
        supervisor.run("accounts and certificate", lambda: _refresh_files(gate, tls))
    )
    login = Login(username=HUB_USER, token=token)
    try:
        yield broker, Connection((config.broker_address,), login, files.accounts)
    finally:
        refreshing.cancel()
        await broker.stop()


def outside_broker(config: Config, environment: Mapping[str, str]) -> Connection:
    """Return the connection data of the hub's own client for a broker that is not embedded.

    Raises MisconfiguredError where its credentials are wrong or open to others.
    """
    file = hub_files.of(config, environment).login_dir / credentials.HUB_FILE_NAME
    found = credentials.connection(config, file, HUB_USER)
    own = worker.of(config)
    if own is None or found.login is None or not found.login.username:
        return found
    login = msgspec.structs.replace(found.login, username=own.user)
    return msgspec.structs.replace(found, login=login)


def _listeners(config: Config, tls: ServerTls | None) -> list[Listener]:
    """Return where to listen; the first is where the hub's own clients connect."""
    return [*_tcp_listeners(config.broker, tls), *_websocket_listeners(config, tls)]


def _tcp_listeners(settings: BrokerConfig, tls: ServerTls | None) -> list[Listener]:
    if tls is not None:
        return [
            # Without TLS for this machine only.
            Listener(LOOPBACK, settings.port),
            Listener(settings.listen, settings.tls_port, tls.context, key="broker.tls_port"),
        ]
    if settings.listen in _HOLDS_LOOPBACK:
        return [Listener(settings.listen, settings.port)]
    return [
        Listener(LOOPBACK, settings.port),
        Listener(settings.listen, settings.port, key="broker.listen"),
    ]


def _websocket_listeners(config: Config, tls: ServerTls | None) -> list[Listener]:
    settings = config.broker
    if not settings.websocket_port:
        return []
    host = settings.websocket_listen or settings.listen
    # On this machine it is for a reverse proxy, which has a certificate of its own.
    is_local = host == "localhost" or is_loopback(host)
    context = None if tls is None or is_local else tls.context
    proxies = TrustedProxies(config.web.trusted_proxies)
    policy = WebSocketPolicy(settings.websocket_origins, proxies)
    key = "broker.websocket_port"
    return [Listener(host, settings.websocket_port, context, key=key, websocket=policy)]


async def _refresh_files(gate: AccountGate, tls: ServerTls | None) -> None:
    """Load changed accounts and a renewed certificate, until cancelled."""
    while True:
        await next_tick(_REFRESH_S)
        gate.refresh()
        if tls is not None:
            try:
                tls.refresh()
            except MisconfiguredError as e:
                logger.error("the old certificate stays in use: %s", e)  # noqa: TRY400 - the text is enough
