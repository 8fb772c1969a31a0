"""Private JSON files: missing, damaged and changed."""

import stat
from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from bus.files import private_file, private_json


def load(path: Path) -> dict[str, int]:
    return private_json.load(path, dict[str, int], {}, what="numbers", remedy="remove it")


def test_a_missing_file_is_the_value_for_it(tmp_path: Path) -> None:
    assert load(tmp_path / "a.json") == {}


@pytest.mark.parametrize("content", [b"[1]", b'{"a": ', b'{"\xff": 1}'])
def test_something_else_is_an_error_with_file_and_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    private_file.write(path, content)
    with pytest.raises(MisconfiguredError, match=r"a\.json: found no numbers: .*; remove it"):
        load(path)


def test_a_change_is_written_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert private_json.change(path, load, lambda found: {**found, "a": 1}) == {"a": 1}
    assert load(path) == {"a": 1}
    assert stat.S_IMODE(path.stat().st_mode) == private_file.MODE


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    private_json.change(path, load, lambda _found: {"a": 1})
    before = path.stat().st_ino
    private_json.change(path, load, dict)
    assert path.stat().st_ino == before
