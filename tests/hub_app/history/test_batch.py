"""Decoding of payloads into the batch of the next commit."""

import pytest

from bus.contract.messages import Backlog, Status, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.batch import FULL_BATCH, BatchBuilder
from hub_app.history.events import PRESENCE, EventDetector
from tests.hub_app.history.samples import START, reading

BACKLOG = str(Topic("pi4", TopicKind.BACKLOG))
ROOM = str(Topic("pi4", TopicKind.READING, "room"))
STATUS = str(Topic("pi4", TopicKind.STATUS))


def test_readings_refusals_and_events_are_sorted() -> None:
    builder = BatchBuilder()
    status = Status("online", "spoke", "1.0", "boot", START, 2.0)
    payloads = [
        (ROOM, encode(reading(1)), None),
        (BACKLOG, encode(Backlog([reading(0)])), None),
        (BACKLOG, b"[17]", None),
        (STATUS, encode(status), status),
        ("harvester/pi4/nonsense", b"", None),
        (ROOM, b"\xff", None),
    ]
    builder.add(payloads, START)
    batch = builder.take(START)
    assert [(it.reading.seq, it.is_late) for it in batch.arrivals] == [(1, False), (0, True)]
    assert [refused.node for refused in batch.refused] == ["pi4", "pi4"]
    assert [(event.kind, event.detail) for event in batch.events] == [(PRESENCE, "online")]
    assert builder.take(START).arrivals == []


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", '"\\ud800"', "1e999", "9" * 400, "[" * 9 + "]" * 9, "9" * 5000]
)
def test_a_value_that_is_no_json_spoils_neither_a_backlog_nor_the_answer(value: str) -> None:
    """Python's json writes NaN and Infinity; the node would send the same backlog for ever."""
    good, bad = encode(reading(1)).decode(), encode(reading(2, data={"t": 17.5})).decode()
    bad = bad.replace("17.5", value)
    builder = BatchBuilder()
    builder.add([(BACKLOG, f"[{good},{bad}]".encode(), None), (ROOM, bad.encode(), None)], START)
    batch = builder.take(START)
    assert [it.reading for it in batch.arrivals] == [reading(1)]
    assert [it.key and it.key.seq for it in batch.refused] == [2, 2]


def test_a_node_that_falls_silent_is_an_event_of_the_next_batch() -> None:
    builder = BatchBuilder()
    status = Status("online", "spoke", "1.0", "boot", START, 2.0)
    builder.add([(STATUS, encode(status), None)], START)
    builder.take(START)
    assert [event.detail for event in builder.take(START + 60_000).events] == ["lost"]


def test_a_batch_is_full_when_a_commit_is_worth_it() -> None:
    builder = BatchBuilder()
    builder.add([(ROOM, encode(reading(n)), reading(n)) for n in range(FULL_BATCH - 1)], START)
    assert not builder.is_full
    builder.add([(ROOM, encode(reading(FULL_BATCH)), None)], START)
    assert builder.is_full


def test_a_message_that_the_hub_fails_at_is_dropped_and_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EventDetector, "on_message", fail)
    builder = BatchBuilder()
    status = encode(Status("online", "spoke", "1.0", "boot", START, 2.0))
    builder.add([*[(STATUS, status, None)] * 50, (ROOM, encode(reading(1)), None)], START)
    assert len(builder.take(START).arrivals) == 1
    assert caplog.text.count(f"the history failed at a message on {STATUS}") == 1
