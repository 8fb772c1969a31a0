"""Access control over HTTP: ASGI middleware around every route.

Every path that is not listed as open needs a log-in, so no route can forget to check. Browsers show
a session's cookie, programs a token (Bearer), and either may show a name and password to read
(Basic).
"""

import base64
import math
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.auth.gate import Role
from broker.auth.password_check import TooManyAttemptsError
from hub_app.http.guard import FOREIGN_HOST, SAFE_METHODS, cross_site_refusal
from hub_app.http.responses import Json, Refusal
from hub_app.http.views.paths import is_view, log_in_query
from hub_app.login.login import LogIn, WrongPasswordError
from hub_app.login.sessions import ANYONE, Visitor
from hub_app.serving.client_limit import HEALTH_PATH

COOKIE = "harvester_session"
LOG_IN_PATH = "/login"
LOG_OUT_PATH = "/logout"

# The log-in page with its style, and the health check of a watchdog.
_OPEN_PATHS = frozenset(
    {LOG_IN_PATH, HEALTH_PATH, "/static/frame/app.css", "/static/frame/favicon.svg"}
)
# Paths that a viewer may POST to.
_VIEWER_PATHS = frozenset({LOG_IN_PATH, LOG_OUT_PATH})


class Access(msgspec.Struct, frozen=True):
    """A visitor, and whether what he showed is still valid: an event stream lasts long."""

    visitor: Visitor
    is_valid: Callable[[], bool] = lambda: True
    # A token, which a browser never adds to another site's request.
    by_token: bool = False


class SessionGate:
    """Passes a request on with its visitor and his access in `request.state`, or refuses it.

    Without `log_in` everyone is an operator. `root_path` is the prefix of the page's URLs.
    """

    def __init__(self, app: ASGIApp, log_in: LogIn | None, root_path: str = "") -> None:
        self._app = app
        self._log_in = log_in
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = await self._refusal(scope)
        await (answer or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        """Store the visitor in the request's state; return the refusal, or None."""
        path, method = scope["path"], scope["method"]
        try:
            access = await self._access(scope)
        except TooManyAttemptsError as e:
            access = None
            if path not in _OPEN_PATHS:
                return _too_many(e)
        visitor = access.visitor if access else None
        scope.setdefault("state", {}).update(visitor=visitor, access=access)
        if access is None or not access.by_token:
            refusal = cross_site_refusal(scope)
            if refusal is not None:
                return refusal
        if visitor is None:
            return None if path in _OPEN_PATHS else self._unauthorized(scope)
        if method not in SAFE_METHODS and visitor.role is not Role.OPERATOR:
            return None if path in _VIEWER_PATHS else _forbidden(visitor)
        return None

    async def _access(self, scope: Scope) -> Access | None:
        if scope.get("state", {}).get(FOREIGN_HOST):
            return None
        if self._log_in is None:
            return Access(ANYONE)
        connection = HTTPConnection(scope)
        scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _token_access(self._log_in, _address_of(scope), shown.strip())
        access = _session_access(self._log_in, token_of(connection))
        if access is None and scheme.lower() == "basic" and _takes_passwords(scope):
            return await _basic_access(self._log_in, _address_of(scope), shown.strip())
        return access

    def _unauthorized(self, scope: Scope) -> Response:
        path = scope["path"]
        if is_view(path) and scope["method"] in SAFE_METHODS:
            query = log_in_query(path, scope["query_string"].decode("latin-1"))
            return RedirectResponse(self._root_path + LOG_IN_PATH + query, HTTPStatus.SEE_OTHER)
        error = Refusal(f"log in at {self._root_path}{LOG_IN_PATH} first")
        # Not Basic: a browser would ask for a name and a password by itself.
        return Json(error, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})


def token_of(connection: HTTPConnection) -> str:
    """Return the session token of a browser's cookie, or an empty string."""
    return connection.cookies.get(COOKIE, "")


def _token_access(log_in: LogIn, address: str, token: str) -> Access | None:
    try:
        visitor = log_in.enter_by_token(address, token)
    except WrongPasswordError:
        return None
    return Access(visitor, lambda: log_in.token_visitor(token) == visitor, by_token=True)


def _session_access(log_in: LogIn, session: str) -> Access | None:
    visitor = log_in.visitor(session) if session else None
    if visitor is None:
        return None
    return Access(visitor, lambda: log_in.visitor(session) is not None)


async def _basic_access(log_in: LogIn, address: str, shown: str) -> Access | None:
    name, password = _name_and_password(shown)
    if not name or not password:
        return None
    try:
        session = await log_in.enter_again(address, name, password)
    except WrongPasswordError:
        return None
    return _session_access(log_in, session)


def _takes_passwords(scope: Scope) -> bool:
    """Whether a name and password are checked: to read, and not for the log-in page itself."""
    path = scope["path"]
    is_open = path in _OPEN_PATHS and path != HEALTH_PATH
    return scope["method"] in SAFE_METHODS and not is_open


def _name_and_password(shown: str) -> tuple[str, str]:
    """Return what HTTP Basic authentication shows (RFC 7617); empty where it is none."""
    try:
        name, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, password


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _too_many(error: TooManyAttemptsError) -> Response:
    headers = {"Retry-After": str(math.ceil(error.wait_s))}
    return Json(Refusal(str(error)), HTTPStatus.TOO_MANY_REQUESTS, headers)


def _forbidden(visitor: Visitor) -> Response:
    return Json(Refusal(f"{visitor.name} may look, but not command"), HTTPStatus.FORBIDDEN)
