"""Redirect of plain HTTP to HTTPS on the same port (ASGI middleware)."""

from http import HTTPStatus

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hub_app.http.guard import FOREIGN_HOST, SAFE_METHODS, hosts_of
from hub_app.http.responses import Json
from hub_app.serving.forwarded import PROXIED


class HttpsRedirect:
    """Middleware that answers plain HTTP with a redirect, or with an error where it is no GET.

    A command is not redirected: it has crossed the network in clear already, and its sender should
    know. What a trusted proxy passes on is served: the scheme between browser and proxy is its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _redirect(scope) if _is_plain(scope) else self._app
        await answer(scope, receive, send)


def _is_plain(scope: Scope) -> bool:
    if scope["type"] != "http" or scope.get("state", {}).get(PROXIED):
        return False
    return bool(scope["scheme"] == "http")


def _redirect(scope: Scope) -> Response:
    headers = {"Connection": "close"}
    # `/health` comes under any name; a redirect to a foreign one would be of no use.
    if scope["method"] not in SAFE_METHODS or scope.get("state", {}).get(FOREIGN_HOST):
        error = "found plain HTTP, expected https:// at the same address and port"
        return Json({"ok": False, "error": error}, HTTPStatus.BAD_REQUEST, headers)
    query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1")
    url = f"https://{hosts_of(scope)[0]}{path}{'?' if query else ''}{query}"
    # The security headers forbid storing it: browsers ask again once TLS is turned off.
    return RedirectResponse(url, HTTPStatus.PERMANENT_REDIRECT, headers)
