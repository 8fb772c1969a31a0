"""Join listener: a port for machines that join, and for nodes that update or fetch components.

It is open from the first join code until an hour after the last, while a node is updated, and while
one fetches. Without a certificate it serves components alone.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.auth import server_tls
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.contract.plugin_file.component_file import COMPONENTS_PATH
from bus.errors import HarvesterError, MisconfiguredError, UnavailableError
from bus.fault import Fault
from bus.limited_log import LimitedLog
from bus.listen import listen
from bus.ticks import next_tick
from hub_app.http.api.operation import routes
from hub_app.http.responses import Json, Refusal, ignore_disconnect, refuse
from hub_app.nodes.delivery import component_routes
from hub_app.nodes.delivery.component_routes import ComponentService, Find
from hub_app.nodes.join import endpoint
from hub_app.nodes.join.routes import OPERATIONS
from hub_app.nodes.join.service import JoinService
from hub_app.nodes.node_logins import NodeLogins
from hub_app.nodes.update import wheel_routes
from hub_app.nodes.update.wheel_routes import WheelService
from hub_app.serving.bounded_server import BoundedServer
from hub_app.serving.places import Places
from hub_app.serving.protocol import BoundedProtocol

logger = logging.getLogger(__name__)

_POLL_S = 0.5
# A few machines at once, each of which fetches one file after the other.
_MAX_CONNECTIONS = 32
_MAX_PER_ADDRESS = 8
_END_S = 5.0


class TlsOnly:
    """Middleware that refuses plain HTTP: a script for a root shell must be authentic.

    A component is so by the signature of its order.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app
        is_component = scope.get("path", "").startswith(f"{COMPONENTS_PATH}/")
        if scope["type"] == "http" and scope["scheme"] != "https" and not is_component:
            error = Refusal("found plain HTTP, expected https:// as in the line of the hub")
            answer = Json(error, HTTPStatus.FORBIDDEN, {"Connection": "close"})
        await answer(scope, receive, send)


class NotStored:
    """Middleware by which no answer is stored on its way: scripts carry a code."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_marked)


def create_app(
    service: JoinService, wheels: WheelService, components: ComponentService
) -> Starlette:
    """Return the application: routes below `/join`, `/update` and `/delivery`, and nothing else."""
    app = Starlette(
        routes=routes((*OPERATIONS, *wheel_routes.OPERATIONS, *component_routes.OPERATIONS)),
        middleware=[Middleware(NotStored), Middleware(TlsOnly)],
        exception_handlers={HTTPException: refuse, ClientDisconnect: ignore_disconnect},
    )
    app.state.joins = service
    app.state.wheels = wheels
    app.state.components = components
    return app


class NodeNeeds(msgspec.Struct, frozen=True):
    """What nodes come for: whether one is updated, or fetches components, and where these are."""

    is_updating: Callable[[], bool] = lambda: False
    is_delivering: Callable[[], bool] = lambda: False
    find_component: Find = lambda _node, _digest: None


_NO_NEEDS = NodeNeeds()


class JoinListener:
    """Opens the port while there is a code, a node to update or to fetch; then closes it."""

    def __init__(
        self,
        config: Config,
        service: JoinService,
        files: HubFiles,
        needs: NodeNeeds = _NO_NEEDS,
    ) -> None:
        self._host, self._port = endpoint.listen_address(config)
        self._service = service
        self._tls_dir = files.tls_dir
        logins = NodeLogins(files.accounts)
        self._wheels = WheelService(logins, service.wheels, files.login_dir)
        self._components = ComponentService(logins, needs.find_component)
        self._needs = needs
        self._fault = Fault("join listener")

    async def run(self) -> None:
        """Follow the codes until cancelled. What fails is logged once and tried again."""
        while True:
            try:
                if await self._is_wanted():
                    await self._serve()
                self._fault.worked()
            except HarvesterError as e:
                self._fault.failed(f"no machine can join, update or fetch: {e}")
            await next_tick(_POLL_S)

    async def _is_wanted(self) -> bool:
        if self._needs.is_updating() or self._needs.is_delivering():
            return True
        # On most hubs there is no file, and no thread needed to see that.
        return self._service.path.exists() and await asyncio.to_thread(self._service.has_codes)

    async def _serve(self) -> None:
        context = await asyncio.to_thread(self._context)
        bound = listen(self._host, self._port, key="web.join_port")
        try:
            await self._serve_on(bound, context)
        finally:
            bound.close()

    def _context(self) -> ssl.SSLContext | None:
        """Return the TLS context; None where there is no certificate, and components are wanted."""
        tls = server_tls.load(self._tls_dir, "none")
        if tls is None and self._needs.is_delivering():
            return None
        if tls is None:
            raise MisconfiguredError("found no certificate; run `harvester tls init`")
        tls.context.set_alpn_protocols(["http/1.1"])
        return tls.context

    async def _serve_on(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        places: Places[BoundedProtocol] = Places(
            total=_MAX_CONNECTIONS, per_address=_MAX_PER_ADDRESS, for_health=0
        )
        app = create_app(self._service, self._wheels, self._components)
        server = BoundedServer(app, places, LimitedLog(logger), context)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        logger.info("machines may join, update or fetch on port %d", self._port)
        # While a person goes to the new machine.
        preparing = asyncio.create_task(self._prepare())
        try:
            while await self._is_wanted():
                await asyncio.wait([serving], timeout=_POLL_S)
                if serving.done():
                    raise UnavailableError("the join listener ended")
        finally:
            server.stop()
            await asyncio.wait([serving, preparing], timeout=_END_S)
            serving.cancel()
            preparing.cancel()
        logger.info("no machine is to come any more; port %d is closed", self._port)

    async def _prepare(self) -> None:
        if await asyncio.to_thread(self._service.has_codes):
            await asyncio.to_thread(self._service.prepare)
