from pathlib import Path

import pytest

from bus.errors import BadDataError
from bus.files import whole_file
from node_agent.plugins.store import MAX_BYTES, MAX_KEYS, PluginStore


def test_saved_values_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "plugins" / "bme680.json"
    store = PluginStore(path)
    store.set("baseline", "120.5")
    store.save()
    assert PluginStore(path).get("baseline") == "120.5"


def test_setting_a_value_writes_nothing_and_saving_writes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(whole_file, "replace", lambda _path, content: written.append(content))
    store = PluginStore(tmp_path / "x.json")
    for number in range(165):
        store.set("big", f"{number:060000}")
    assert written == []
    for _ in range(3):
        store.save()
    assert [len(content) for content in written] == [60_010]
    assert store.get("big") == f"{164:060000}"


def test_a_value_that_did_not_change_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store = PluginStore(path)
    store.set("a", "1")
    store.save()
    path.unlink()
    store.set("a", "1")
    store.save()
    assert not path.exists()


def test_a_disk_that_refuses_loses_nothing_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "plugins"
    folder.touch()
    store = PluginStore(folder / "x.json")
    store.set("a", "1")
    for _ in range(3):
        store.save()
    assert caplog.text.count("saving: fault") == 1
    folder.unlink()
    store.save()
    assert PluginStore(folder / "x.json").get("a") == "1"


def test_an_unknown_key_is_none(tmp_path: Path) -> None:
    assert PluginStore(tmp_path / "x.json").get("nothing") is None


def test_more_than_64_kb_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store = PluginStore(path)
    store.set("small", "1")
    with pytest.raises(BadDataError, match="65536 at most"):
        store.set("big", "x" * 70_000)
    store.save()
    assert PluginStore(path).get("small") == "1"


def test_values_are_bounded_together_by_the_size_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    store = PluginStore(path)
    for key in ("a", "b"):
        store.set(key, "\x01" * 5000)
    with pytest.raises(BadDataError, match="65536 at most"):
        store.set("c", "\x01" * 5000)
    store.set("a", "")
    store.set("c", "\x01" * 5000)
    store.save()
    assert path.stat().st_size <= MAX_BYTES


def test_more_than_256_keys_are_refused_and_the_known_ones_still_change(tmp_path: Path) -> None:
    store = PluginStore(tmp_path / "x.json")
    for number in range(MAX_KEYS):
        store.set(str(number), "1")
    with pytest.raises(BadDataError, match="256 at most"):
        store.set("one more", "1")
    store.set("0", "2")
    assert store.get("0") == "2"


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
