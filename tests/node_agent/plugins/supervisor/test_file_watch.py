from pathlib import Path

from node_agent.plugins.supervisor.file_watch import FileWatch


def test_a_file_counts_as_new_once_it_is_the_same_at_two_looks(tmp_path: Path) -> None:
    path = tmp_path / "a.wasm"
    watch = FileWatch(lambda: path)
    watch.mark_loaded()
    assert not watch.has_new_version()
    path.write_bytes(b"half")
    assert not watch.has_new_version()
    path.write_bytes(b"complete")
    assert not watch.has_new_version()
    assert watch.has_new_version()


def test_the_loaded_version_is_not_new_until_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(b"one")
    watch = FileWatch(lambda: path)
    watch.mark_loaded()
    assert [watch.has_new_version() for _ in range(3)] == [False] * 3
    watch.forget_loaded()
    assert watch.has_new_version()


def test_a_file_that_is_gone_is_no_new_version(tmp_path: Path) -> None:
    path = tmp_path / "a.wasm"
    path.write_bytes(b"one")
    watch = FileWatch(lambda: path)
    watch.mark_loaded()
    path.unlink()
    assert [watch.has_new_version() for _ in range(3)] == [False] * 3
