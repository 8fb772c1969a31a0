from collections.abc import Iterable
from pathlib import Path

from node_agent.descriptions.former_plugins import FormerPlugins


def run(directory: Path, enabled: Iterable[str], *, is_connected: bool = True) -> list[str]:
    """Return the plugins whose topics one run of a node clears."""
    cleared: list[str] = []

    def clear(name: str) -> bool:
        if is_connected:
            cleared.append(name)
        return is_connected

    plugins = FormerPlugins(enabled, directory / "plugins.json", clear)
    plugins.clear_all()
    plugins.clear_all()
    plugins.save()
    return cleared


def test_plugins_that_are_no_longer_enabled_are_cleared_at_each_connection(tmp_path: Path) -> None:
    assert run(tmp_path, ["dht22", "oled"]) == []
    assert run(tmp_path, ["dht22"]) == ["oled", "oled"]
    assert run(tmp_path, ["dht22"]) == []
    assert run(tmp_path, []) == ["dht22", "dht22"]


def test_a_plugin_stays_in_the_file_until_its_topic_was_cleared(tmp_path: Path) -> None:
    run(tmp_path, ["dht22", "oled", ""])
    assert run(tmp_path, ["dht22"], is_connected=False) == []
    assert run(tmp_path, ["dht22"]) == ["oled", "oled"]


def test_a_plugin_that_is_enabled_again_is_not_cleared(tmp_path: Path) -> None:
    run(tmp_path, ["oled"])
    run(tmp_path, [], is_connected=False)
    assert run(tmp_path, ["oled"]) == []
