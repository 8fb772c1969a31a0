"""The real service as a process of its own, and a real broker that hears it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import HOST, Listener, Service, embedded_broker, free_port, settings


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
        self.web = f"http://{HOST}:{(web_port := free_port())}"
        keys = {
            "broker__url": f"mqtt://{HOST}:{broker_port}",
            "web__listen": HOST,
            "web__port": web_port,
            "polling__interval_seconds": 0.5,
            "pings__hosts": f'{{here = "{HOST}"}}',
            "pings__interval_s": 0.5,
            "storage__state_dir": directory,
            **keys,
        }
        simulation = ["--simulate"] if simulate else []
        super().__init__(
            program,
            ["--config", "config/pizero.toml", *simulation, *settings(**keys)],
            directory / "service.log",
        )


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    with embedded_broker(port):
        yield port


@pytest.fixture(scope="module")
def listener(port: int) -> Iterator[Listener]:
    with Listener(port) as ears:
        yield ears
