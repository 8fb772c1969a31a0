"""Security headers, and refusal of requests under foreign names or by other sites' pages."""

import ipaddress
import re
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub_app.http.responses import Json, Refusal
from hub_app.serving.client_limit import HEALTH_PATH
from hub_app.serving.forwarded import FORWARDED_HOST

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # A stricter policy makes a browser omit the Origin of a form, which is checked below.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Key in a request's state: it asks for `/health` under a name that is not ours.
FOREIGN_HOST = "foreign_host"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 9110 section 7.2: a name or an address, IPv6 in brackets, and perhaps a port.
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:@/\[\]]+))(?::[0-9]{1,5})?")


class Guard:
    """Middleware that adds the security headers, and refuses foreign names (DNS rebinding).

    `names` are the host names of this machine. A request for any other name is refused: a foreign
    page may have made that name resolve to this address. Addresses are always accepted. `/health`
    is answered under every name, as to nobody in particular.
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

        answer: ASGIApp = self._app
        refusal = self._refusal(hosts_of(scope))
        if refusal is not None and scope["path"] == HEALTH_PATH:
            scope.setdefault("state", {})[FOREIGN_HOST] = True
        elif refusal is not None:
            answer = refusal
        await answer(scope, receive, send_guarded)

    def _refusal(self, hosts: Iterable[str]) -> Response | None:
        foreign = next((host for host in hosts if not self.is_own_host(host)), None)
        if foreign is None:
            return None
        error = (
            f"host: found {foreign[:70]!r}, expected an address, this machine's name or one of "
            "[web] names in hub.toml"
        )
        return Json(Refusal(error), HTTPStatus.MISDIRECTED_REQUEST)

    def is_own_host(self, host: str) -> bool:
        """Whether `host` is an address or one of our names, with any port."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        address, name = found.groups()
        return _is_address(address or name) or name.lower().removesuffix(".") in self._names


def hosts_of(scope: Scope) -> list[str]:
    """Return the request's Host, and the one that a trusted proxy was asked for, if it says so."""
    host = Headers(scope=scope).get("host", "")
    forwarded = scope.get("state", {}).get(FORWARDED_HOST)
    return [host] if forwarded is None else [host, forwarded]


def is_own_page(headers: Headers, hosts: Iterable[str] | None = None) -> bool:
    """Whether a request comes from the hub's own page, or from no page at all (curl, a script).

    `hosts` are the names that the page may have been asked for by; without them, the Host.
    """
    site = headers.get("sec-fetch-site")
    if site == "same-origin":
        return True
    if site not in (None, "none"):
        return False
    # Some older browsers send no Origin with a form.
    source = headers.get("origin", headers.get("referer"))
    own = [headers.get("host", "")] if hosts is None else hosts
    return source is None or not _authorities(source).isdisjoint(own)


def cross_site_refusal(scope: Scope) -> Response | None:
    """Return the refusal of a command that another site's page sends, or None."""
    headers, hosts = Headers(scope=scope), hosts_of(scope)
    if scope["method"] in SAFE_METHODS or is_own_page(headers, hosts):
        return None
    error = "refused: asked by another site"
    if "origin" in headers:
        error += (
            f" (Origin {headers['origin'][:70]!r}, Host {hosts[-1][:70]!r}); a reverse proxy must "
            "pass the browser's Host with its port"
        )
    return Json(Refusal(error), HTTPStatus.FORBIDDEN)


def own_names(hostname: str) -> set[str]:
    """Return the names of a machine called `hostname`, its mDNS name included."""
    label = hostname.partition(".")[0]
    return {hostname, label, f"{label}.local"}


def _authorities(url: str) -> set[str]:
    """Return the spellings of a URL's host and port; none where it is no URL of a page."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return set()
    port = _DEFAULT_PORTS.get(parts.scheme)
    if not parts.netloc or port is None:
        return set()
    return {parts.netloc, parts.netloc.removesuffix(f":{port}"), _with_port(parts.netloc, port)}


def _with_port(authority: str, port: int) -> str:
    has_port = re.search(r":[0-9]+\Z", authority) is not None
    return authority if has_port else f"{authority}:{port}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
