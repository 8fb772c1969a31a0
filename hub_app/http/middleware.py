"""Middleware around the routes of a page: proxies, guard, HTTPS, limits and log-in."""

from collections.abc import Iterable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from bus.config.web_table import WebConfig
from bus.peer_address import TrustedProxies
from hub_app.http.guard import Guard
from hub_app.http.responses import ignore_disconnect, refuse
from hub_app.http.session_gate import SessionGate
from hub_app.login.login import LogIn
from hub_app.serving.client_limit import ClientLimit
from hub_app.serving.forwarded import Forwarded
from hub_app.serving.https_redirect import HttpsRedirect

EXCEPTION_HANDLERS: dict[Any, Any] = {HTTPException: refuse, ClientDisconnect: ignore_disconnect}


def middleware(settings: WebConfig, names: Iterable[str], log_in: LogIn | None) -> list[Middleware]:
    """Return the middleware, the outermost first. `names` are the host names of this machine."""
    root_path = settings.root_path
    proxies = TrustedProxies(settings.trusted_proxies)
    return [
        Middleware(Forwarded, proxies=proxies, root_path=root_path),
        Middleware(Guard, names={*settings.names, *names}),
        *([Middleware(HttpsRedirect)] if settings.tls else []),
        Middleware(ClientLimit),
        Middleware(SessionGate, log_in=log_in, root_path=root_path),
    ]
