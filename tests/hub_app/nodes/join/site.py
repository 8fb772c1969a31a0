"""A hub at which machines join: running, with certificates, wheels and its join listener."""

import contextlib
import datetime as dt
import hashlib
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx

from broker.auth import certificates, tokens
from broker.auth.server_tls import CA_NAME
from hub_app.nodes.join import codes
from hub_app.nodes.join.wheels import FOLDER
from tests.http_client import http_client
from tests.hub_app.whole_hub import Hub
from tests.support import HOST, free_port, wait_until_listening

WHEEL = "harvester_edge-0.0.0-py3-none-any.whl"
ARM = "msgspec-0.20.0-cp311-cp311-manylinux_2_28_aarch64.whl"


class Site:
    """A running hub with certificates and wheels, and its join listener."""

    def __init__(self, hub: Hub, join_port: int) -> None:
        self.hub, self.join_port = hub, join_port
        self.url = f"https://{HOST}:{join_port}"
        self.trust = ssl.create_default_context(cafile=str(hub.state / "tls" / CA_NAME))
        self.file = hub.state / codes.FILE_NAME

    def line(self, node: str, *, replace: bool = False) -> str:
        return self.line_of({"node": node, "replace": replace})

    def line_of(self, wish: dict[str, object]) -> str:
        answer = self.hub.http.post("/api/join-codes", json=wish)
        assert answer.status_code == HTTPStatus.OK, answer.text
        wait_until_listening(self.join_port)
        return str(answer.json()["line"])

    def code(self, node: str, *, replace: bool = False) -> str:
        return self.code_of({"node": node, "replace": replace})

    def code_of(self, wish: dict[str, object]) -> str:
        return self.line_of(wish).split("/join/")[1].split()[0]

    @contextlib.contextmanager
    def client(self, address: str = HOST) -> Iterator[httpx.Client]:
        with http_client(self.url, address=address, trust=self.trust) as made:
            yield made

    def state(self, node: str) -> str:
        joins = self.hub.http.get("/api/join-codes").json()["joins"]
        return next(join["state"] for join in joins if join["node"] == node)


@contextlib.contextmanager
def running_site(directory: Path) -> Iterator[Site]:
    """Run a hub with a wheel of ours and one for ARM."""
    hub = Hub(directory)
    certificates.init(hub.state / "tls", [HOST, "localhost"], dt.datetime.now(dt.UTC))
    (hub.state / FOLDER).mkdir()
    (hub.state / FOLDER / WHEEL).write_bytes(b"a wheel")
    (hub.state / FOLDER / ARM).write_bytes(b"for ARM")
    join_port, tls_port = free_port(), free_port()
    keys = {"web__join_listen": HOST, "web__join_port": join_port, "broker__tls_port": tls_port}
    with hub.http, hub.running(**keys):
        yield Site(hub, join_port)


def body(token: str, nonce: str = "0" * 32) -> dict[str, object]:
    return {
        "nonce": nonce,
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "mosquitto": tokens.mosquitto_hash(token),
        "host": "raspberrypi",
        "machine": "aarch64",
        "found": ["BME680 at 0x76"],
    }
