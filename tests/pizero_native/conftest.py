"""The real service as a process of its own, and a real broker that hears it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http_client import get
from tests.support import HOST, Listener, Service, embedded_broker, free_port, settings, wait_until


class PiZero(Service):
    """`pizero-native`, on simulated hardware and at a quick pace unless told otherwise."""

    def __init__(
        self,
        directory: Path,
        broker_port: int,
        *,
        simulate: bool = True,
        program: str = "pizero_native.cli",
        **keys: object,
    ) -> None:
        web_port = free_port()
        self._web = f"http://{HOST}:{web_port}"
        keys = {
            "broker__url": f"mqtt://{HOST}:{broker_port}",
            "web__listen": HOST,
            "web__port": web_port,
            "polling__interval_seconds": 0.5,
            "pings__hosts": f'{{here = "{HOST}"}}',
            "pings__interval_s": 0.5,
            # The thread of a ping may starve before it reads the answer.
            "pings__timeout_s": 10,
            "storage__state_dir": directory,
            **keys,
        }
        simulation = ["--simulate"] if simulate else []
        super().__init__(
            program,
            ["--config", "config/pizero.toml", *simulation, *settings(**keys)],
            directory / "service.log",
        )

    def get(self, path: str) -> httpx.Response:
        """Return the answer of its page, as soon as there is one.

        A process may take half a minute to start, and closes a connection on which no request has
        come in time.
        """
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answers.append(get(f"{self._web}{path}"))
            return bool(answers)

        wait_until(is_answered)
        return answers[0]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    with embedded_broker(port):
        yield port


@pytest.fixture(scope="module")
def listener(port: int) -> Iterator[Listener]:
    with Listener(port) as ears:
        yield ears
