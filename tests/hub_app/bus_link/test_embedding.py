"""Listeners of the hub's broker: WebSocket beside TCP, with and without the hub's certificate."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.typing import Subprotocol

from broker.auth import accounts, certificates
from broker.auth.gate import Role
from broker.auth.server_tls import CA_NAME
from tests.broker.auth.hub import hub_bus
from tests.broker.embedded.raw import connect
from tests.support import HOST, WAIT_S, free_port

PASSWORD = "correct horse"
ANN = connect("web", username="ann", password=PASSWORD.encode())
NOT_AUTHORIZED = 5


def opened(port: int, ca: Path | None = None) -> ClientConnection:
    context = None if ca is None else ssl.create_default_context(cafile=str(ca))
    return open_websocket(
        f"{'ws' if ca is None else 'wss'}://{HOST}:{port}",
        subprotocols=[Subprotocol("mqtt")],
        ssl=context,
        open_timeout=WAIT_S,
    )


def connack(client: ClientConnection, hello: bytes) -> int:
    client.send(hello)
    answer = client.recv(WAIT_S)
    assert isinstance(answer, bytes)
    return answer[3]


def test_a_websocket_client_logs_in_even_on_this_machine(tmp_path: Path) -> None:
    port = free_port()
    accounts.set_password(tmp_path / "accounts.json", "ann", Role.VIEWER, PASSWORD)
    with hub_bus(tmp_path, broker__websocket_port=port) as hub:
        assert hub.code("local") == 0
        with opened(port) as client:
            assert connack(client, connect("local")) == NOT_AUTHORIZED
        with opened(port) as client:
            assert connack(client, ANN) == 0


@pytest.mark.parametrize("listen", ["", "localhost"])
def test_with_a_certificate_only_this_machine_connects_without_tls(
    tmp_path: Path, listen: str
) -> None:
    port = free_port()
    tls = tmp_path / "tls"
    certificates.init(tls, [HOST], dt.datetime.now(dt.UTC))
    accounts.set_password(tmp_path / "accounts.json", "ann", Role.VIEWER, PASSWORD)
    keys = {
        "broker__listen": "0.0.0.0",
        "broker__tls_dir": tls,
        "broker__websocket_port": port,
        "broker__websocket_listen": listen,
    }
    with (
        hub_bus(tmp_path, **keys),
        opened(port, None if listen else tls / CA_NAME) as client,
    ):
        assert connack(client, ANN) == 0
