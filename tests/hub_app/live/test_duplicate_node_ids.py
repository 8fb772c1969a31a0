"""Detection of two machines with one node id."""

import pytest

from hub_app.live.duplicate_node_ids import DuplicateNodeIds


def receive(duplicates: DuplicateNodeIds, streams: str, start_ms: int = 0) -> None:
    for n, stream in enumerate(streams):
        duplicates.on_reading("pi4", stream, start_ms + n, start_ms + n * 1000)


def test_a_node_that_restarts_is_no_duplicate() -> None:
    duplicates = DuplicateNodeIds()
    receive(duplicates, "aaaabbbbccccdddd")
    assert not duplicates.is_duplicate("pi4", 20_000)
    assert not duplicates.is_duplicate("unknown", 0)


def test_streams_that_take_turns_are_two_machines(caplog: pytest.LogCaptureFixture) -> None:
    duplicates = DuplicateNodeIds()
    receive(duplicates, "aabbaabbaabb")
    assert duplicates.is_duplicate("pi4", 12_000)
    assert caplog.text.count("two machines use the node id pi4") == 1
    receive(duplicates, "bbbb", start_ms=1_000_000)
    assert not duplicates.is_duplicate("pi4", 1_000_000)
    assert "by one machine only again" in caplog.text


def test_a_retained_reading_that_comes_again_is_no_turn() -> None:
    duplicates = DuplicateNodeIds()
    duplicates.on_reading("pi4", "old", 7, 0)
    for n in range(20):
        duplicates.on_reading("pi4", "new", n, n)
        duplicates.on_reading("pi4", "old", 7, n)
    assert not duplicates.is_duplicate("pi4", 20)


def test_nodes_that_are_gone_are_forgotten() -> None:
    duplicates = DuplicateNodeIds()
    receive(duplicates, "aabbaabbaabb")
    duplicates.keep_only({"pi5"})
    assert not duplicates.is_duplicate("pi4", 12_000)
