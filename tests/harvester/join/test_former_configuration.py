"""Configuration of an earlier node: kept for the same node, put aside for another."""

from pathlib import Path

import pytest

from harvester.join import former_configuration


def test_a_configuration_of_the_same_node_stays(tmp_path: Path) -> None:
    (tmp_path / "spoke.toml").write_text('[cluster]\nnode_id = "pi4"\n')
    assert former_configuration.move_aside(tmp_path, "spoke", "pi4") is None
    assert (tmp_path / "spoke.toml").exists()


@pytest.mark.parametrize("text", ['[cluster]\nnode_id = "attic"\n', "no TOML", "[no]\nkey = 1\n"])
def test_a_configuration_of_another_node_is_put_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "spoke.toml").write_text(text)
    aside = former_configuration.move_aside(tmp_path, "spoke", "pi4")
    assert aside == tmp_path / "spoke.toml.before-join"
    assert aside.read_text() == text
    assert not (tmp_path / "spoke.toml").exists()


def test_a_machine_without_a_configuration_keeps_none(tmp_path: Path) -> None:
    assert former_configuration.move_aside(tmp_path, "spoke", "pi4") is None
