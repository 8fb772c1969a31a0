"""What a bound refuses is never answered as stored, whichever bound of [limits] it is."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from bus.config.history_table import HistoryConfig
from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Reading, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.bus_link.ingest import Decoder
from hub_app.history.acknowledge import Answer
from hub_app.history.inbox import Inbox
from hub_app.history.recorder import Recorder
from hub_app.live.state import State
from hub_app.quota.refusals import Reason, Refusals
from tests.hub_app.samples import NOW_MS

FIRST = Reading("pi4", "room", NOW_MS, "s1", 1, {"temperature": 20.5})
# Without a place in the live state, nothing goes to the history.
WITHOUT_PLACE = frozenset({Reason.NODES, Reason.SENSORS})


def other(**fields: object) -> list[Reading]:
    return [msgspec.structs.replace(FIRST, **{"seq": 2, **fields})]


def much() -> list[Reading]:
    """Return readings of more than a megabyte."""
    data = {f"field-{n}": "x" * 250 for n in range(60)}
    return [msgspec.structs.replace(FIRST, seq=2 + n, data=data) for n in range(80)]


# A bound, and readings of which the last is beyond it.
REFUSING: dict[str, tuple[int, Callable[[], list[Reading]]]] = {
    "nodes": (1, lambda: other(node="pi5")),
    "sensors": (1, lambda: other(sensor_id="cellar")),
    "streams": (1, lambda: other(stream="s2")),
    "field_sets": (1, lambda: other(data={"pressure": 1013.2})),
    "history_mb_per_day": (1, much),
}
# These bound what is kept in memory, or other messages than readings.
OTHERS = {
    *("plugins", "actuators", "alarms", "live_kb", "log_kb", "log_lines_per_minute"),
    *("events_per_minute", "boots", "silent_days"),
}


class Answers:
    """Numbers that are answered as stored, by node and stream."""

    def __init__(self) -> None:
        self.stored: set[tuple[str, str, int]] = set()

    def __call__(self, answers: Sequence[Answer]) -> int:
        for topic, message in answers:
            for first, last in message.ranges:
                numbers = range(first, last + 1)
                self.stored.update((topic.node, message.stream, seq) for seq in numbers)
        return len(answers)


def publish(path: Path, limits: LimitsConfig, readings: list[Reading]) -> Answers:
    """Let readings come over the bus, through live state and history; return what is answered."""
    answers, inbox = Answers(), Inbox()
    state = State(limits, Refusals())

    def take(topic: Topic, message: Reading) -> bool:
        state.apply(topic, message, NOW_MS)
        return state.refusal not in WITHOUT_PLACE

    decoder = Decoder(take, lambda: 0.0, record=inbox.put_many)  # type: ignore[arg-type]
    history = Recorder(
        *("revpi", path, HistoryConfig(commit_s=0.05)),
        inbox=inbox,
        publish=answers,
        now_ms=lambda: NOW_MS,
        limits=limits,
    )
    history.start()
    for one in readings:
        topic = Topic(one.node, TopicKind.READING, one.sensor_id)
        decoder.handle(str(topic), encode(one))
    decoder.flush()
    history.stop()
    return answers


@pytest.mark.parametrize("key", REFUSING)
def test_a_reading_beyond_a_bound_is_not_answered_as_stored(tmp_path: Path, key: str) -> None:
    bound, beyond = REFUSING[key]
    readings = [FIRST, *beyond()]
    limits = msgspec.structs.replace(LimitsConfig(), **{key: bound})
    refused = readings[-1]
    stored = publish(tmp_path / "bounded.db", limits, readings).stored
    assert ("pi4", "s1", 1) in stored
    assert (refused.node, refused.stream, refused.seq) not in stored
    # It is that bound and nothing else.
    free = publish(tmp_path / "free.db", LimitsConfig(), readings).stored
    assert (refused.node, refused.stream, refused.seq) in free


def test_every_bound_is_known_to_these_tests() -> None:
    assert REFUSING.keys() | OTHERS == set(LimitsConfig.__struct_fields__)
