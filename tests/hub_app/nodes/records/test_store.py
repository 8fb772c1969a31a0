from pathlib import Path

import pytest

from bus.contract.messages import PluginRecord
from hub_app.nodes.records import store
from hub_app.nodes.records.store import RecordStore

RECORD = PluginRecord("problem", "ab", 1_795_373_155_454, 3, 0, b"content", "no answer")


def test_a_record_is_there_after_a_restart(tmp_path: Path) -> None:
    kept = RecordStore(tmp_path / "records")
    kept.put("pi4", "dht22", RECORD)
    kept.close()
    again = RecordStore(tmp_path / "records")
    again.load()
    assert again.of_node("pi4") == kept.of_node("pi4")
    assert again.of_node("pi4")["dht22"].size_bytes == len(b"content")
    assert again.content("pi4", "dht22") == b"content"
    again.close()


def test_only_names_that_were_told_are_looked_for(tmp_path: Path) -> None:
    kept = RecordStore(tmp_path)
    assert kept.content("..", "passwd") is None
    kept.close()


def test_a_record_goes_with_its_node(tmp_path: Path) -> None:
    kept = RecordStore(tmp_path)
    kept.put("pi4", "dht22", RECORD)
    kept.put("pi5", "dht22", RECORD)
    kept.remove_node("pi4")
    kept.close()
    assert [file.name for file in tmp_path.iterdir()] == ["pi5.dht22.json"]
    assert kept.of_node("pi4") == {}


def test_the_oldest_records_of_a_node_make_place_for_its_newest(tmp_path: Path) -> None:
    kept = RecordStore(tmp_path)
    kept.put("pi5", "dht22", RECORD)
    for number in range(store.MOST_OF_NODE + 2):
        kept.put("pi4", f"p{number}", RECORD)
    kept.close()
    assert len(kept.of_node("pi4")) == store.MOST_OF_NODE
    assert not {"p0", "p1"} & kept.of_node("pi4").keys()
    assert len(list(tmp_path.iterdir())) == store.MOST_OF_NODE + 1
    assert kept.of_node("pi5").keys() == {"dht22"}


def test_of_too_many_records_the_node_with_most_gives_up_its_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_RECORDS", 4)
    kept = RecordStore(tmp_path)
    for node, plugin in (("pi5", "a"), ("pi4", "a"), ("pi4", "b"), ("pi6", "a"), ("pi7", "a")):
        kept.put(node, plugin, RECORD)
    kept.close()
    assert {node: list(kept.of_node(node)) for node in ("pi4", "pi5", "pi6", "pi7")} == {
        "pi4": ["b"],
        "pi5": ["a"],
        "pi6": ["a"],
        "pi7": ["a"],
    }


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pi4.dht22.json").write_text("{")
    kept = RecordStore(tmp_path)
    kept.load()
    assert kept.of_node("pi4") == {}
    kept.close()


def test_a_folder_that_cannot_be_written_is_told_once_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    folder.touch()
    kept = RecordStore(folder)
    for plugin in ("a", "b", "c"):
        kept.put("pi4", plugin, RECORD)
    assert kept.content("pi4", "c") is None
    assert len(caplog.messages) == 1
    assert "records/pi4.a.json: File exists; what nodes send meanwhile is not kept" in caplog.text
    folder.unlink()
    kept.put("pi4", "a", RECORD)
    assert kept.content("pi4", "a") == b"content"
    assert "works again" in caplog.messages[-1]
    kept.close()
