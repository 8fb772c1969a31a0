"""A webhook on loopback that takes the notifications of apprise's json:// service."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support import HOST


class Webhook:
    """Notifications as they arrived; it answers `status` to each."""

    def __init__(self, port: int) -> None:
        self.address = f"json://{HOST}:{port}/secret-path"
        self.status = 200
        self.attempts = 0
        self.taken: list[dict[str, Any]] = []

    @property
    def titles(self) -> list[str]:
        return [notification["title"] for notification in self.taken]

    def write_address(self, path: Path) -> Path:
        path.write_text(f"# for tests\n\n{self.address}\n")
        path.chmod(0o600)
        return path


@contextmanager
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.attempts += 1
            if hook.status == 200:
                hook.taken.append(body)
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        hook = Webhook(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hook
        finally:
            server.shutdown()
            thread.join()
