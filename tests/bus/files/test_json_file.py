"""JSON files of a program's own: what is damaged is set aside and named, never lost silently."""

from pathlib import Path

import pytest

from bus.files import json_file


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
