"""JSON files of a program's own: what is damaged is set aside and named, never lost silently."""

from pathlib import Path

import pytest

from bus.files import json_file
from bus.files.json_file import SavedOnChange


def test_a_file_is_read_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert json_file.load(path, dict[str, str], "starting empty") is None
    path.write_text('{"a": "b"}')
    assert json_file.load(path, dict[str, str], "starting empty") == {"a": "b"}
    assert path.exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}', b'{"a": "'])
def test_a_damaged_file_is_set_aside_whole(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert json_file.load(path, dict[str, str], "starting empty") is None
    assert not path.exists()
    assert (tmp_path / "a.damaged").read_bytes() == content
    assert "set aside as a.damaged, starting empty" in caplog.text


def test_what_is_saved_is_read_back_from_a_folder_of_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.json"
    json_file.save(path, {"a": "b"})
    assert json_file.load(path, dict[str, str], "starting empty") == {"a": "b"}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_value_is_written_where_it_changed_and_not_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    file = SavedOnChange(path)
    file.save(lambda: {"a": "1"})
    assert not path.exists()
    file.changed()
    file.save(lambda: {"a": "2"})
    file.save(lambda: {"a": "3"})
    assert json_file.load(path, dict[str, str], "starting empty") == {"a": "2"}


def test_a_change_while_the_snapshot_is_taken_is_written_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    file = SavedOnChange(path, is_saved=False)

    def changed_meanwhile() -> dict[str, str]:
        file.changed()
        return {"a": "old"}

    file.save(changed_meanwhile)
    file.save(lambda: {"a": "new"})
    assert json_file.load(path, dict[str, str], "starting empty") == {"a": "new"}


def test_a_disk_that_refuses_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "state"
    folder.touch()
    file = SavedOnChange(folder / "a.json", is_saved=False)
    for _ in range(3):
        file.save(lambda: ["a"])
    assert caplog.text.count("saving: fault") == 1
    folder.unlink()
    file.save(lambda: ["a"])
    assert json_file.load(folder / "a.json", list[str], "starting empty") == ["a"]
    assert "works again" in caplog.text


def test_without_a_path_nothing_is_written() -> None:
    SavedOnChange(None, is_saved=False).save(lambda: pytest.fail("no snapshot is needed"))
