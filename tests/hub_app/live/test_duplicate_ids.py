import pytest

from hub_app.live.duplicate_ids import Twins


def hear(twins: Twins, streams: str, start_ms: int = 0) -> None:
    for n, stream in enumerate(streams):
        twins.hear("pi4", stream, start_ms + n, start_ms + n * 1000)


def test_a_node_that_restarts_is_no_twin() -> None:
    twins = Twins()
    hear(twins, "aaaabbbbccccdddd")
    assert not twins.are_at("pi4", 20_000)
    assert not twins.are_at("unknown", 0)


def test_streams_that_take_turns_are_two_machines(caplog: pytest.LogCaptureFixture) -> None:
    twins = Twins()
    hear(twins, "aabbaabbaabb")
    assert twins.are_at("pi4", 12_000)
    assert caplog.text.count("two machines use the node id pi4") == 1
    hear(twins, "bbbb", start_ms=1_000_000)
    assert not twins.are_at("pi4", 1_000_000)
    assert "by one machine only again" in caplog.text


def test_a_retained_reading_that_comes_again_is_no_turn() -> None:
    twins = Twins()
    twins.hear("pi4", "old", 7, 0)
    for n in range(20):
        twins.hear("pi4", "new", n, n)
        twins.hear("pi4", "old", 7, n)
    assert not twins.are_at("pi4", 20)
