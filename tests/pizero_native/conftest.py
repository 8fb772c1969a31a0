"""A real broker, a real client and the real service as a process of its own."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

from broker.client import BusClient
from broker.messages import Message, decode
from broker.server import EmbeddedBroker
from broker.topics import EVERYTHING, Topic, parse

HOST = "127.0.0.1"
WAIT_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Listener:
    """Everything that is said on the bus, in order."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.said: list[tuple[Topic, Message]] = []
        self._changed = threading.Condition()
        self._connected = threading.Event()
        self._client = BusClient(
            (HOST, port),
            client_id="listener",
            filters=[EVERYTHING],
            on_message=self._hear,
            on_connect=self._connected.set,
        )

    def __enter__(self) -> Self:
        self._client.start()
        assert self._connected.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop()

    def wait_for(self, wanted: Callable[[Topic, Message], bool]) -> Message:
        """Return the first message that is wanted, past or to come."""

        def found() -> Message | None:
            return next((m for topic, m in self.said if wanted(topic, m)), None)

        with self._changed:
            message = self._changed.wait_for(found, WAIT_S)
        assert message is not None, f"not heard; heard {self.said}"
        return message

    def _hear(self, text: str, payload: bytes) -> None:
        topic = parse(text)
        with self._changed:
            self.said.append((topic, decode(topic, payload)))
            self._changed.notify_all()


@contextmanager
def embedded_broker(port: int) -> Iterator[None]:
    """Run the hub's broker in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    broker = EmbeddedBroker(HOST, port)
    asyncio.run_coroutine_threadsafe(broker.start(), loop).result(WAIT_S)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(broker.stop(), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WAIT_S)
        loop.close()


class Service:
    """`pizero-native --simulate` as a process."""

    def __init__(self, directory: Path, broker_port: int, *overrides: str) -> None:
        self.web_port = free_port()
        settings = (
            f"broker.url=mqtt://{HOST}:{broker_port}",
            f"web.port={self.web_port}",
            f"web.listen={HOST}",
            "polling.interval_seconds=0.5",
            f'pings.hosts={{here = "{HOST}"}}',
            "pings.interval_s=0.5",
            f"storage.state_dir={directory}",
            *overrides,
        )
        self.log = directory / "service.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "pizero_native.cli", "--simulate"),
                    *("--config", "config/pizero.toml"),
                    *(part for setting in settings for part in ("--set", setting)),
                ],
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_S)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(embedded_broker(port))
        yield stack.enter_context(Listener(port))
