"""HTTP server of the light service: `GET /health` and `GET /api/logs?limit=`.

No client can stop the node: the size, the time and the number of simultaneous requests are bounded.
"""

import contextlib
import io
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import msgspec

from bus.config.web_table import WebConfig
from bus.contract.mistake import shown
from bus.errors import BadDataError, MisconfiguredError
from bus.fault import Fault
from bus.listen import AddressUnavailableError, listen
from pizero_native.recent_log import MAX_LINES, RecentLog

logger = logging.getLogger(__name__)

_MAX_REQUEST_BYTES = 8192
_MAX_REQUESTS_AT_ONCE = 8
_REQUEST_S = 2.0
_DEFAULT_LINES = "100"
_NUMBER = re.compile(r"[0-9]{1,4}")
_RETRY_S = 5.0
# Who finds more than so many waiting tries again a second later, as TCP does.
_BACKLOG = 32
_JOIN_S = 2.0

Health = Callable[[], dict[str, Any]]
Routes = dict[str, Callable[[str], dict[str, Any]]]


class BadQueryError(BadDataError):
    """A query that the client has to change."""


class Web:
    """Serves HTTP from entering to leaving its context.

    A port that cannot be had, for example because the network is not up yet, is tried again until
    it can. Entering raises MisconfiguredError where the address is none.
    """

    def __init__(self, settings: WebConfig, health: Health, logs: RecentLog) -> None:
        self._address = (settings.listen, settings.port)
        self._routes: Routes = {
            "/health": lambda _query: health(),
            "/api/logs": lambda query: {"logs": logs.newest(_limit(query))},
        }
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def __enter__(self) -> Self:
        with contextlib.suppress(AddressUnavailableError):
            self._listen().close()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._starting:
            self._stopping.set()
            server = self._server
        if server is not None:
            server.shutdown()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        fault = Fault("http://{}:{}".format(*self._address))
        while not self._stopping.is_set():
            try:
                listener = self._listen()
            except (AddressUnavailableError, MisconfiguredError) as e:
                fault.failed(f"{e}; it is tried again until it works")
                self._stopping.wait(_RETRY_S)
                continue
            fault.worked()
            server = _Server(listener, self._routes)
            with server:
                with self._starting:
                    self._server = server
                    serving = not self._stopping.is_set()
                if serving:
                    server.serve_forever()

    def _listen(self) -> socket.socket:
        return listen(*self._address, key="web.port", backlog=_BACKLOG)


class _Server(ThreadingMixIn, HTTPServer):
    """One thread for each request, a few at once; more requests are refused."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, routes: Routes) -> None:
        self.routes = routes
        self._places = threading.BoundedSemaphore(_MAX_REQUESTS_AT_ONCE)
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - base's way
        # A client that went away in the middle of its answer is no fault of ours.
        logger.debug("a request failed: %r", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    """Answers one request with JSON."""

    server: _Server
    server_version = "harvester"
    sys_version = ""
    # What has no version is answered with a status line all the same.
    default_request_version = "HTTP/1.0"

    def setup(self) -> None:
        super().setup()
        self._request = _RequestStream(self.connection)
        self.rfile = io.BufferedReader(self._request)

    def do_GET(self) -> None:
        if self._request.left == 0:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        url = urlsplit(self.path)
        route = self.server.routes.get(url.path)
        if route is None:
            known = ", ".join(self.server.routes)
            self.send_error(HTTPStatus.NOT_FOUND, f"expected one of {known}")
            return
        try:
            body = route(url.query)
        except BadQueryError as e:
            self.send_error(HTTPStatus.BAD_REQUEST, str(e))
        else:
            self._answer(HTTPStatus.OK, body)

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        status = HTTPStatus(code)
        self._answer(status, {"error": message or status.phrase})

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self.connection.settimeout(_REQUEST_S)
        self.close_connection = True
        payload = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        logger.debug("http: %s", format % args)


class _RequestStream(io.RawIOBase):
    """Request stream of a client: ends after a number of bytes or seconds."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self._deadline_s = time.monotonic() + _REQUEST_S
        self.left = _MAX_REQUEST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        count = self._connection.recv_into(memoryview(buffer)[: self.left])
        self.left -= count
        return count


def _limit(query: str) -> int:
    """Return how many log lines `query` asks for."""
    try:
        fields = (
            parse_qs(query, keep_blank_values=True, strict_parsing=True, max_num_fields=1)
            if query
            else {}
        )
    except ValueError:
        fields = {"": [query]}
    [(key, [text])] = fields.items() or [("limit", [_DEFAULT_LINES])]
    limit = int(text) if key == "limit" and _NUMBER.fullmatch(text) else 0
    if not 1 <= limit <= MAX_LINES:
        raise BadQueryError(f"found {shown(query)}, expected limit=NUMBER from 1 to {MAX_LINES}")
    return limit
