from pathlib import Path

import pytest

from bus.errors import BadDataError
from node_agent.plugins.store import PluginStore


def test_values_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "plugins" / "bme680.json"
    PluginStore(path).set("baseline", "120.5")
    assert PluginStore(path).get("baseline") == "120.5"


def test_an_unknown_key_is_none(tmp_path: Path) -> None:
    assert PluginStore(tmp_path / "x.json").get("nothing") is None


def test_more_than_64_kb_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store = PluginStore(path)
    store.set("small", "1")
    with pytest.raises(BadDataError, match="65536 at most"):
        store.set("big", "x" * 70_000)
    assert PluginStore(path).get("small") == "1"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff"])
def test_a_damaged_file_is_set_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    store = PluginStore(path)
    assert store.get("a") is None
    assert str(path) in caplog.text
    assert (tmp_path / "x.damaged").read_bytes() == content
