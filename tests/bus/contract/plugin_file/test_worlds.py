"""Worlds that nodes and hubs know are those of the contract."""

from bus.contract.plugin_file import worlds
from bus.install import assets
from harvester.plugins.builder import contract


def test_the_names_of_worlds_are_the_contracts() -> None:
    wit = (assets.root() / "wit" / "plugin.wit").read_text()
    assert list(worlds.WORLDS) == list(contract.read(wit).worlds)
    assert f"package harvester:plugin@{worlds.CONTRACT_VERSION};" in wit
    assert {worlds.refusal(world) for world in worlds.WORLDS} == {""}


def test_an_unknown_world_is_refused_with_those_that_exist() -> None:
    said = worlds.refusal("dht-plugin")
    assert said.startswith("world: found 'dht-plugin', expected one of dht22-plugin, bme680-plugin")


def test_another_major_version_of_the_contract_is_refused() -> None:
    assert {worlds.version_refusal(version) for version in ("1.0.0", "1.1.0", "1.12.3")} == {""}
    for version in ("2.0.0", "0.9.0", "", "1.1"):
        found = f"contract: found version {version!r}, expected one like "
        assert worlds.version_refusal(version).startswith(found)
