"""The hub's broker as `hub-app` runs it, in a thread, with accounts in a folder of the test."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker.auth.password_check import PasswordCheck
from bus.client.login import Login
from bus.config import config_file, hub_files
from bus.config.broker_table import LOOPBACK
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from hub_app.bus_link.embedding import embedded_broker
from hub_app.process.supervisor import Supervisor
from tests.broker.embedded.raw import RawClient
from tests.support import WAIT_S, free_port


def connected(port: int, username: str, password: bytes, client_id: str = "") -> RawClient:
    client = RawClient(port)
    code = client.connect(client_id or username, username=username, password=password)
    if code != 0:
        client.sock.close()
    assert code == 0, f"CONNACK {code}"
    return client


class HubBus:
    """A running broker: its port, its files, and the login of the hub's own client."""

    def __init__(self, config: Config, files: HubFiles, login: Login) -> None:
        self.config = config
        self.port = config.broker.port
        self.tls_port = config.broker.tls_port
        self.accounts = files.accounts
        self.files = files
        self.login = login

    def client(self, username: str, password: str, client_id: str = "") -> RawClient:
        return connected(self.port, username, password.encode(), client_id)

    def person(self, username: str, password: str, client_id: str = "") -> RawClient:
        """Return a person's client, once the wrong guesses of other tests are forgiven."""
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            with contextlib.suppress(AssertionError):
                return self.client(username, password, client_id)
            threading.Event().wait(0.1)
        return self.client(username, password, client_id)

    def hub_client(self) -> RawClient:
        return self.client(self.login.username, self.login.token)

    def code(self, client_id: str, **options: Any) -> int | None:
        """Return the CONNACK's code."""
        with RawClient(self.port) as raw:
            return raw.connect(client_id, **options)


def hub_config(state: Path, **keys: object) -> Config:
    values = {
        "cluster.role": "hub",
        "cluster.node_id": "revpi",
        "broker.listen": LOOPBACK,
        "broker.port": free_port(),
        "broker.tls_port": free_port(),
        "storage.state_dir": state,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }
    return config_file.load(None, [f"{key}={value}" for key, value in values.items()])


@contextlib.contextmanager
def hub_bus(state: Path, **keys: object) -> Iterator[HubBus]:
    config = hub_config(state, **keys)
    ready, stop = threading.Event(), threading.Event()
    made: list[Login] = []

    async def serve() -> None:
        async with embedded_broker(config, {}, PasswordCheck(time.monotonic), Supervisor()) as (
            broker,
            connection,
        ):
            await broker.listen()
            assert connection.login is not None
            made.append(connection.login)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(WAIT_S)
        yield HubBus(config, hub_files.of(config, {}), made[0])
    finally:
        stop.set()
        thread.join(WAIT_S)
