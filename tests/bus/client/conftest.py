"""Brokers for the tests of the client: the embedded one and Mosquitto."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import embedded_broker, free_port, mosquitto


@pytest.fixture(params=["embedded", "mosquitto"])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    port = free_port()
    started = embedded_broker(port) if request.param == "embedded" else mosquitto(port, tmp_path)
    with started:
        yield port
