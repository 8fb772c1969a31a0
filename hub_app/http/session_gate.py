"""Who may come in over HTTP, and who may command: plain ASGI, around every route at once.

What is not open to all needs a session, whatever the route; a route cannot forget to ask.
"""

from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.auth.gate import Role
from hub_app.http.guard import SAFE_METHODS
from hub_app.http.responses import Json
from hub_app.login.login import LogIn
from hub_app.login.sessions import ANYONE, Visitor

COOKIE = "harvester_session"
LOG_IN_PATH = "/login"
LOG_OUT_PATH = "/logout"

# The log-in page with its looks, and what a watchdog asks.
_OPEN_PATHS = frozenset({LOG_IN_PATH, "/health", "/static/app.css", "/static/favicon.svg"})
# What a viewer may ask for with another method than GET.
_OF_EVERYONE = frozenset({LOG_IN_PATH, LOG_OUT_PATH})


class SessionGate:
    """Lets a request pass to `app` with its visitor in `request.state.visitor`, or answers it.

    Without `log_in` everyone is an operator.
    """

    def __init__(self, app: ASGIApp, log_in: LogIn | None) -> None:
        self._app = app
        self._log_in = log_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visitor = self._visitor(scope)
        scope.setdefault("state", {})["visitor"] = visitor
        answer = self._refusal(scope, visitor) or self._app
        await answer(scope, receive, send)

    def _visitor(self, scope: Scope) -> Visitor | None:
        if self._log_in is None:
            return ANYONE
        token = token_of(HTTPConnection(scope))
        return self._log_in.visitor(token) if token else None

    def _refusal(self, scope: Scope, visitor: Visitor | None) -> Response | None:
        path, method = scope["path"], scope["method"]
        if visitor is None:
            return None if path in _OPEN_PATHS else _ask_to_log_in(path, method)
        if method not in SAFE_METHODS and visitor.role is not Role.OPERATOR:
            return None if path in _OF_EVERYONE else _only_look(visitor)
        return None


def token_of(connection: HTTPConnection) -> str:
    """Return the token that a browser shows, or nothing."""
    return connection.cookies.get(COOKIE, "")


def _ask_to_log_in(path: str, method: str) -> Response:
    if path == "/" and method in SAFE_METHODS:
        return RedirectResponse(LOG_IN_PATH, HTTPStatus.SEE_OTHER)
    error = {"ok": False, "error": f"log in at {LOG_IN_PATH} first"}
    return Json(error, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Cookie"})


def _only_look(visitor: Visitor) -> Response:
    error = {"ok": False, "error": f"{visitor.name} may look, but not command"}
    return Json(error, HTTPStatus.FORBIDDEN)
