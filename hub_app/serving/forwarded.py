"""Reverse proxies: addresses and scheme of the client, and the path prefix (ASGI middleware)."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from bus.peer_address import TrustedProxies

# Keys in a request's state: the (host, port) at the other end of the connection, the Host that the
# client asked a reverse proxy for, and that a trusted one told the scheme.
PEER = "peer"
FORWARDED_HOST = "forwarded_host"
PROXIED = "proxied"

_SCHEMES = frozenset({"http", "https"})


class Forwarded:
    """Middleware that replaces a trusted proxy by its client, and removes the path prefix.

    A request may come with the prefix or without it: some proxies remove it.
    """

    def __init__(self, app: ASGIApp, proxies: TrustedProxies, root_path: str = "") -> None:
        self._app = app
        self._proxies = proxies
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == self._root_path:
                answer = RedirectResponse(f"{self._root_path}/", HTTPStatus.PERMANENT_REDIRECT)
                await answer(scope, receive, send)
                return
            scope = {**scope, "path": self._path(scope["path"])}
            peer = scope.get("client") or ("", 0)
            scope["state"] = {**scope.get("state", {}), PEER: peer}
            if peer[0] in self._proxies:
                self._believe(scope, peer, Headers(scope=scope))
        await self._app(scope, receive, send)

    def _path(self, path: str) -> str:
        has_prefix = path.startswith(f"{self._root_path}/")
        return path.removeprefix(self._root_path) if has_prefix else path

    def _believe(self, scope: Scope, peer: tuple[str, int], headers: Headers) -> None:
        client = self._proxies.client_of(peer[0], headers.getlist("x-forwarded-for"))
        if client != peer[0]:
            scope["client"] = (client, 0)
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip()
        if scheme in _SCHEMES:
            scope["scheme"] = scheme
            scope["state"][PROXIED] = True
        host = headers.get("x-forwarded-host")
        if host is not None:
            scope["state"][FORWARDED_HOST] = host.rpartition(",")[2].strip()
