"""NATS servers with MQTT as processes, alone or in a cluster."""

import os
import shutil
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.http_client import get
from tests.killable import KillableServer
from tests.support import HOST, free_port, wait_until


def nats_program() -> str:
    """Return the path of the server; skip the test where it is not installed."""
    found = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    return found


class NatsServer(KillableServer):
    """A server in `folder`, which can be killed and started again."""

    def __init__(self, folder: Path, name: str, mqtt_port: int, lines: str) -> None:
        self._monitor_port = free_port()
        config = folder / f"{name}.conf"
        config.write_text(
            f'server_name: {name}\nlisten: "{HOST}:{free_port()}"\n'
            f'http: "{HOST}:{self._monitor_port}"\n'
            f'jetstream {{ store_dir: "{folder / name}", max_mem: 64M, max_file: 256M }}\n{lines}\n'
        )
        command = [nats_program(), "-c", str(config)]
        super().__init__(command, mqtt_port, folder / f"{name}.log")

    def wait_until_healthy(self) -> None:
        """Wait until its streams are up to date, and have leaders."""

        def is_healthy() -> bool:
            try:
                return get(f"http://{HOST}:{self._monitor_port}/healthz").is_success
            except httpx.TransportError:
                return False

        wait_until(is_healthy)


class NatsCluster:
    """Three servers, each with all streams of MQTT."""

    def __init__(self, folder: Path, lines: str = "") -> None:
        routes = [free_port() for _ in range(3)]
        peers = ", ".join(f"nats://{HOST}:{port}" for port in routes)
        self.servers = [
            self._server(folder, number, port, peers, lines) for number, port in enumerate(routes)
        ]

    @staticmethod
    def _server(folder: Path, number: int, port: int, peers: str, lines: str) -> NatsServer:
        mqtt_port = free_port()
        text = (
            f'cluster {{ name: c, listen: "{HOST}:{port}", routes: [{peers}] }}\n'
            f'mqtt {{ listen: "{HOST}:{mqtt_port}", max_ack_pending: 8000 }}\n{lines}'
        )
        return NatsServer(folder, f"n{number}", mqtt_port, text)

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_until_healthy()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.kill()
