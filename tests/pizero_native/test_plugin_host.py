"""One key makes a plugin host of the Pi Zero, within the memory that its unit allows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.contract.messages import PluginState, Reading
from tests.built_components import CACHE, packed
from tests.pizero_native.conftest import PiZero
from tests.support import PROJECT, WAIT_S, Listener, Said

UNIT = PROJECT / "deploy" / "harvester-pizero.service"


@pytest.fixture
def plugin_host(listener: Listener, port: int, tmp_path: Path) -> Iterator[PiZero]:
    packed(PROJECT / "plugins")
    with PiZero(tmp_path, port, cluster__service="plugin-host", storage__cache_dir=CACHE) as host:
        yield host


def test_it_reads_the_same_sensors_through_plugins_in_little_memory(
    plugin_host: PiZero, listener: Listener
) -> None:
    def is_running(said: Said) -> bool:
        return isinstance(said.message, PluginState) and said.message.state == "running"

    listener.wait_for(is_running)
    for sensor in ("bme680-0x76", "pizero-monitor"):
        said = listener.wait_topic(f"harvester/pizero/readings/{sensor}")
        assert isinstance(said.message, Reading)
    assert {"temperature", "humidity", "pressure"} <= air(listener).keys()
    status = Path(f"/proc/{plugin_host.process.pid}/status").read_text()
    peak_kb = int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]
    assert peak_kb / 1024 < unit_limit_mb() == 150
    assert plugin_host.stop(WAIT_S) == 0


def air(listener: Listener) -> dict[str, object]:
    message = listener.wait_topic("harvester/pizero/readings/bme680-0x76").message
    assert isinstance(message, Reading)
    return dict(message.data)


def unit_limit_mb() -> int:
    found = re.search(r"^MemoryMax=(\d+)M$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
