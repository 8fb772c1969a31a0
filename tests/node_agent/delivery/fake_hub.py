"""A hub's port for components, which may cut transfers off, send other bytes or refuse."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bus.client.login import Login
from bus.contract.plugin_file.component_file import COMPONENTS_PATH
from node_agent.delivery.component_source import HubAddress
from tests.support import HOST

LOGIN = Login(username="pi4", token="t" * 32)


class FakeHub:
    """Answers with `content`, of which each request gets no more than the next of `most_bytes`."""

    def __init__(self, content: bytes, *most_bytes: int) -> None:
        self.content = content
        self.most_bytes = list(most_bytes)
        self.status = 200
        self.asked: list[str] = []
        self.paths: list[str] = []
        self.logins: set[str] = set()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def address(self) -> HubAddress:
        return HubAddress(HOST, LOGIN)

    @contextlib.contextmanager
    def serving(self) -> Iterator["FakeHub"]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.headers.get("Range", ""))
        self.paths.append(request.path)
        self.logins.add(request.headers["Authorization"])
        if self.status != 200:
            request.send_response(self.status)
            request.end_headers()
            request.wfile.write(b'{"error": "not now"}')
            return
        start = int(self.asked[-1].removeprefix("bytes=").removesuffix("-") or 0)
        rest = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{len(self.content)}")
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        request.wfile.write(rest[: self.most_bytes.pop(0) if self.most_bytes else None])


def path_of(sha256: str) -> str:
    return f"{COMPONENTS_PATH}/{sha256}"


def basic() -> str:
    return "Basic " + base64.b64encode(f"{LOGIN.username}:{LOGIN.token}".encode()).decode()
