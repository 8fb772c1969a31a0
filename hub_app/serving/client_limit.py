"""Limits for each client's address, behind a reverse proxy too: requests and event streams."""

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bus.peer_address import network_of
from hub_app.http.responses import Json

# Requests that are answered at the same time, streams included.
MAX_REQUESTS_PER_ADDRESS = 64
MAX_STREAMS_PER_ADDRESS = 20
HEALTH_PATH = "/health"
# Key in a request's state: only `/health` may be answered.
HEALTH_ONLY = "health_only"
_RETRY_S = "5"


class ClientLimit:
    """Middleware that refuses requests beyond the limit, and all but `/health` where it must."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH_PATH:
            await self._app(scope, receive, send)
            return
        address = address_of(scope)
        refusal = self._refusal(scope, address)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._running[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running[address] -= 1
            if not self._running[address]:
                del self._running[address]

    def _refusal(self, scope: Scope, address: str) -> Response | None:
        if scope.get("state", {}).get(HEALTH_ONLY):
            error = "all connections are in use; only /health is answered"
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, error)
        if self._running[address] >= MAX_REQUESTS_PER_ADDRESS:
            error = (
                f"{MAX_REQUESTS_PER_ADDRESS} requests of this address are being answered already"
            )
            return _refused(HTTPStatus.TOO_MANY_REQUESTS, error)
        return None


class Stream:
    """The place of one event stream."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_closed = False
        self.on_close: Callable[[], object] = lambda: None

    def close(self) -> None:
        """End the stream soon."""
        self.is_closed = True
        self.on_close()


class StreamPlaces:
    """Places of the event streams: some for each address, and a fair share of all of them.

    Where all are in use, the address with the most streams loses its oldest one to an address with
    at least two less.
    """

    def __init__(self, total: int, per_address: int = MAX_STREAMS_PER_ADDRESS) -> None:
        self._total = total
        self._per_address = per_address
        # Oldest first.
        self._streams: dict[Stream, None] = {}

    def enter(self, address: str) -> Stream | None:
        """Return a place, or None where there is none for this address."""
        counts = Counter(stream.address for stream in self._streams)
        if counts[address] >= self._per_address:
            return None
        if len(self._streams) >= self._total and not self._make_room(counts, address):
            return None
        stream = Stream(address)
        self._streams[stream] = None
        return stream

    def leave(self, stream: Stream) -> None:
        """Give up a place; one that was taken already is ignored."""
        self._streams.pop(stream, None)

    def _make_room(self, counts: Counter[str], address: str) -> bool:
        largest, count = counts.most_common(1)[0]
        if count < counts[address] + 2:
            return False
        oldest = next(stream for stream in self._streams if stream.address == largest)
        self.leave(oldest)
        oldest.close()
        return True


def address_of(scope: Scope) -> str:
    """Return what a client is counted by: its address, or its IPv6 network."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def _refused(status: HTTPStatus, error: str) -> Response:
    headers = {"Retry-After": _RETRY_S, "Connection": "close"}
    return Json({"ok": False, "error": error}, status, headers)
