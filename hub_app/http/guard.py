"""Security headers, and refusal of requests by other sites: ASGI middleware around the app."""

import ipaddress
import re
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # A stricter policy makes a browser omit the Origin of a form, which is checked below.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
# RFC 9110 section 7.2: a name or an address, IPv6 in brackets, and perhaps a port.
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/\[\]]+))(?::[0-9]{1,5})?")


class Guard:
    """Middleware against cross-site requests and DNS rebinding.

    `names` are the host names of this machine. A request for any other name is refused: a foreign
    page may have made that name resolve to this address. Addresses are always accepted.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = frozenset({"localhost", *(name.lower() for name in names)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Files in /static are revalidated at each use; nothing else may be cached.
        caching = "no-cache" if scope["path"].startswith("/static/") else "no-store"

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", caching)
            await send(message)

        answer = self._refusal(scope["method"], Headers(scope=scope)) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_own_host(host):
            return _refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"host: found {host[:70]!r}, expected an address, this machine's name or one of "
                "web.names",
            )
        if method not in SAFE_METHODS and not is_own_page(headers):
            return _refused(HTTPStatus.FORBIDDEN, "refused: asked by another site")
        return None

    def _is_own_host(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        address, name = found.groups()
        return _is_address(address or name) or name.lower().removesuffix(".") in self._names


def is_own_page(headers: Headers) -> bool:
    """Whether a request comes from the hub's own page, or from no page at all (curl, a script)."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITE:
        return False
    origin = headers.get("origin")
    return origin is None or _netloc(origin) == headers.get("host", "")


def own_names(hostname: str) -> set[str]:
    """Return the names of a machine called `hostname`, its mDNS name included."""
    label = hostname.partition(".")[0]
    return {hostname, label, f"{label}.local"}


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refused(status: HTTPStatus, error: str) -> Response:
    return JSONResponse({"ok": False, "error": error}, status)
