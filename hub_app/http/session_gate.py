"""Access control over HTTP: ASGI middleware around every route.

Every path that is not listed as open needs a session, so no route can forget to check.
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

# The log-in page with its style, and the health check of a watchdog.
_OPEN_PATHS = frozenset({LOG_IN_PATH, "/health", "/static/app.css", "/static/favicon.svg"})
# Paths that a viewer may POST to.
_VIEWER_PATHS = frozenset({LOG_IN_PATH, LOG_OUT_PATH})


class SessionGate:
    """Passes a request on with its visitor in `request.state.visitor`, or refuses it.

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
            return None if path in _OPEN_PATHS else _unauthorized(path, method)
        if method not in SAFE_METHODS and visitor.role is not Role.OPERATOR:
            return None if path in _VIEWER_PATHS else _forbidden(visitor)
        return None


def token_of(connection: HTTPConnection) -> str:
    """Return the session token of a browser's cookie, or an empty string."""
    return connection.cookies.get(COOKIE, "")


def _unauthorized(path: str, method: str) -> Response:
    if path == "/" and method in SAFE_METHODS:
        return RedirectResponse(LOG_IN_PATH, HTTPStatus.SEE_OTHER)
    error = {"ok": False, "error": f"log in at {LOG_IN_PATH} first"}
    return Json(error, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Cookie"})


def _forbidden(visitor: Visitor) -> Response:
    error = {"ok": False, "error": f"{visitor.name} may look, but not command"}
    return Json(error, HTTPStatus.FORBIDDEN)
