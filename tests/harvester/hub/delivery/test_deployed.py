"""Files that are deployed: components of either origin, and the sentences that refuse others."""

import argparse
from pathlib import Path

import pytest

from bus.contract.bounds import MAX_COMPONENT_BYTES
from bus.errors import MisconfiguredError
from harvester.hub.delivery import deployed
from harvester.hub.delivery.deployed import Deployed
from tests.signed_bundles import component, room

TOML = 'world = "sensor-plugin"\nversion = "1.0"\n'


def find(plugin: object, project: Path, **options: object) -> Deployed:
    chosen = {"world": "", "component": False, "polls": 7, "shadow": False, **options}
    return deployed.find(
        argparse.Namespace(plugin=str(plugin), project=project, **chosen), prefers_component=False
    )


def test_a_component_has_its_authors_version_its_size_and_its_contract(tmp_path: Path) -> None:
    file = tmp_path / "room.wasm"
    file.write_bytes(component("2.5"))
    found = find(file, tmp_path, world="sensor-plugin", shadow=True)
    target = found.target
    assert (found.name, found.content) == ("room", file.read_bytes())
    assert (target.form, target.version, target.contract) == ("component", "2.5", "1.0.0")
    assert (target.size_bytes, target.probation, target.is_shadow) == (len(found.content), 7, True)


def test_a_plugin_in_another_language_is_deployed_as_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "room"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(TOML)
    (folder / "room.wasm").write_bytes(component("3"))
    for plugin in ("room", folder / "room.wasm"):
        assert find(plugin, tmp_path).target.world == "sensor-plugin"
        assert find(plugin, tmp_path).target.form == "component"


def test_a_component_that_is_not_of_the_present_source_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "room"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(TOML)
    (folder / "app.py").write_text("")
    with pytest.raises(MisconfiguredError, match="run `harvester plugins build room`"):
        find("room", tmp_path, component=True)


@pytest.mark.parametrize(
    ("content", "world", "sentence"),
    [
        (component("1"), "", "world: found '', expected one of dht22-plugin, .*; `--world` names"),
        (component("1"), "sensors", "world: found 'sensors', expected one of dht22-plugin, "),
        (b"\0asm\x0d\0\x01\0", "sensor-plugin", "found no interface of harvester:plugin in it"),
        (room("1.0"), "sensor-plugin", "found no WebAssembly component"),
        (component("1")[:-3], "sensor-plugin", "the component ends within a section"),
    ],
)
def test_what_is_no_component_of_a_plugin_is_refused(
    tmp_path: Path, content: bytes, world: str, sentence: str
) -> None:
    file = tmp_path / "room.wasm"
    file.write_bytes(content)
    with pytest.raises(MisconfiguredError, match=sentence):
        find(file, tmp_path, world=world)


def test_a_component_that_is_too_large_or_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "room.wasm"
    with pytest.raises(MisconfiguredError, match="No such file or directory; expected a component"):
        find(file, tmp_path, world="sensor-plugin")
    with file.open("wb") as large:
        large.truncate(MAX_COMPONENT_BYTES + 1)
    with pytest.raises(MisconfiguredError, match="found 64000001 bytes, expected 64000000 at most"):
        find(file, tmp_path, world="sensor-plugin")
