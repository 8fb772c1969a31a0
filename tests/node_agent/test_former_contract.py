"""A component that upstream's own toolchain built for version 1.0.0 runs in a node unchanged."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import tomli_w

from bus.contract.description import (
    FieldDescription,
    PluginDescription,
    SensorDescription,
    SettingDescription,
)
from bus.contract.messages import Leds, PluginState, Reading
from bus.contract.plugin_file import component_section
from node_agent.sandbox import cache, seal
from node_agent.sandbox.engine import Target
from tests.built_components import CACHE, built_by_hand
from tests.support import HOST, PROJECT, Listener, Service, embedded_broker, free_port

DESCRIPTION = PluginDescription(
    fields={"temperature": FieldDescription(label="Temperature", unit="\u00b0C")},
    settings={"high_c": SettingDescription("number", 30.0)},
)


CONFIG = {
    "cluster": {"node_id": "pi4"},
    "polling": {"interval_seconds": 0.5},
    "sensors": {"dht22_pins": [4]},
    "leds": {"count": 4},
    "buzzer": {"pin": 22},
    "storage": {"state_dir": "state", "cache_dir": str(CACHE)},
    "hardware": {"driver": "simulated"},
    "plugins": {
        "directory": "plugins",
        "enabled": ["former"],
        "poll_deadline_s": 10.0,
        "grants": {"former": {"gpio": [4], "leds": [1], "buzzer": True}},
    },
}


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the component as it was built, and with a description that its author added."""
    plain = built_by_hand(PROJECT / "tests" / "components" / "version-1-0-0", "dht22-plugin")
    described = tmp_path_factory.mktemp("described") / "former.wasm"
    described.write_bytes(component_section.append(plain.read_bytes(), DESCRIPTION))
    share_compiled(plain, described)
    return plain, described


def share_compiled(plain: Path, described: Path) -> None:
    """Spare the compiler a component that differs in its description only: the code is the same."""
    compiled, _ = cache.compiled(plain, CACHE)
    record = seal.read(compiled)
    assert record is not None
    shipped = cache.shipped_path(described, Target.NATIVE)
    shutil.copyfile(compiled, shipped)
    digest = cache.sha256_of(described)
    seal.write(shipped, msgspec.structs.replace(record, component=digest))
    assert cache.available(described, CACHE, Target.NATIVE, digest) is not None


@pytest.fixture
def listener(tmp_path: Path, components: tuple[Path, Path]) -> Iterator[Listener]:
    install(components[0], tmp_path)
    file, port = tmp_path / "spoke.toml", free_port()
    file.write_text(tomli_w.dumps({**CONFIG, "broker": {"url": f"mqtt://{HOST}:{port}"}}))
    arguments = ["--role", "spoke", "--config", str(file)]
    with (
        embedded_broker(port),
        Listener(port) as listener,
        Service("node_agent.cli", arguments, tmp_path / "agent.log"),
    ):
        yield listener


def install(component: Path, directory: Path) -> None:
    installed = directory / "plugins" / "former" / "former.wasm"
    installed.parent.mkdir(parents=True, exist_ok=True)
    partial = installed.with_suffix(".partial")
    partial.write_bytes(component.read_bytes())
    partial.replace(installed)


def test_it_runs_and_a_description_can_be_added(
    listener: Listener, tmp_path: Path, components: tuple[Path, Path]
) -> None:
    reading = listener.wait_topic("harvester/pi4/readings/dht22-gpio4").message
    assert isinstance(reading, Reading)
    assert reading.data.keys() == {"temperature", "humidity"}
    plain = listener.wait_topic("harvester/pi4/sensors/dht22-gpio4").message
    assert isinstance(plain, SensorDescription)
    assert plain.fields == {"temperature": FieldDescription(), "humidity": FieldDescription()}
    listener.wait_for(
        lambda said: isinstance(said.message, Leds) and said.message.pixels[1] == "#00ff00"
    )
    install(components[1], tmp_path)
    listener.wait_for(
        lambda said: (
            isinstance(said.message, SensorDescription)
            and said.message.fields["temperature"] == DESCRIPTION.fields["temperature"]
        )
    )
    listener.wait_for(
        lambda said: (
            isinstance(said.message, PluginState) and said.message.settings == {"high_c": 30.0}
        )
    )
