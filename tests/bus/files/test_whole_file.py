"""Replacing a file: content, mode and what a failure leaves behind."""

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bus.files import whole_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced_with_the_mode_that_is_given(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    path.chmod(0o640)
    whole_file.replace(path, b"new", mode=mode)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == mode
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_is_closed_to_everyone_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    whole_file.replace(path, b"new", drop_page_cache=True)
    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600


def test_what_an_interrupted_write_left_behind_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    writer = f"{threading.get_native_id()}.{os.getpid()}"
    partial = path.with_name(f".state.json.{writer}.partial")
    partial.write_bytes(b"half")
    whole_file.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert not partial.exists()


def test_threads_that_replace_a_file_at_once_leave_one_of_their_contents(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    contents = [letter * 1_000_000 for letter in (b"a", b"b", b"c", b"d")]

    def replace(content: bytes) -> None:
        for _ in range(10):
            whole_file.replace(path, content)
            assert path.read_bytes() in contents

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(replace, contents))
    assert list(tmp_path.iterdir()) == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        whole_file.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_on_the_disk_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    real = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    whole_file.replace(tmp_path / "state.json", b"new")
    assert synced == [False, True]


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        whole_file.replace(tmp_path / "missing" / "state.json", b"new")


def test_what_killed_processes_were_writing_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "plugin-bundles"
    folder.mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    killed = [place / f".state.json.{ended.pid}.partial" for place in (tmp_path, folder)]
    kept = [
        tmp_path / f".state.json.{os.getpid()}.partial",
        tmp_path / "state.json",
        folder / ".other.partial",
    ]
    for path in (*killed, *kept):
        path.touch()
    whole_file.remove_abandoned(tmp_path)
    assert [path for path in (*killed, *kept) if path.exists()] == kept
    # The number of a process that was killed long ago may be another one's now.
    os.utime(kept[0], (0, 0))
    whole_file.remove_abandoned(tmp_path)
    assert not kept[0].exists()
