"""The hub's broker with all its listeners and one account, for clients of other people."""

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from broker.auth import accounts, certificates
from broker.auth.gate import Role
from broker.auth.server_tls import CA_NAME
from tests.broker.auth.hub import connected, hub_bus
from tests.broker.embedded.raw import RawClient
from tests.clients.install import MODULES, PYTHON
from tests.support import HOST, free_port

USER = "lab"
PASSWORD = "correct horse"
SCHEMES = {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}


class House(msgspec.Struct, frozen=True):
    """Ports by transport (tcp, tls, ws, wss), and the CA of the certificate.

    `secure_port` is that of the hub with a certificate, for this machine.
    """

    ports: dict[str, int]
    secure_port: int
    ca: Path

    def beside(self, transport: str) -> RawClient:
        """Return a client of the hub that has a transport, over TCP."""
        port = self.secure_port if self.ca_for(transport) else self.ports["tcp"]
        return connected(port, USER, PASSWORD.encode(), "beside")

    def url(self, transport: str) -> str:
        return f"{SCHEMES[transport]}://{HOST}:{self.ports[transport]}"

    def ca_for(self, transport: str) -> str:
        return str(self.ca) if transport in ("tls", "wss") else ""


def environment() -> dict[str, str]:
    """Return what the programs of the clients find in their environment."""
    return {
        **os.environ,
        "MQTT_USER": USER,
        "MQTT_PASSWORD": PASSWORD,
        "NODE_PATH": str(MODULES),
        "PYTHONPATH": str(PYTHON),
    }


@contextlib.contextmanager
def running(folder: Path) -> Iterator[House]:
    """Run two hubs, one with a certificate and one without."""
    plain, secure = folder / "plain", folder / "secure"
    ports = {name: free_port() for name in SCHEMES}
    for state in (plain, secure):
        state.mkdir()
        accounts.set_password(state / "accounts.json", USER, Role.INTEGRATION, PASSWORD)
    tls = secure / "tls"
    certificates.init(tls, [HOST], dt.datetime.now(dt.UTC))
    roots = '["lab"]'
    keys = {"broker__open_roots": roots, "broker__websocket_port": ports["ws"]}
    more = {"broker__tls_dir": tls, "broker__tls_port": ports["tls"], "broker__listen": "0.0.0.0"}
    with (
        hub_bus(plain, broker__port=ports["tcp"], **keys),
        hub_bus(
            secure, **more, broker__open_roots=roots, broker__websocket_port=ports["wss"]
        ) as hub,
    ):
        yield House(ports, hub.port, tls / CA_NAME)
