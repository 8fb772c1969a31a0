"""Acknowledgement of stored readings."""

from collections.abc import Sequence

from bus.contract.messages import MAX_RANGES, Range
from hub_app.history.acknowledge import Acknowledger, Answer, Answers, Stream, answers_of, ranges_of
from hub_app.history.decode import ReadingKey, RefusedReading
from tests.hub_app.history.samples import reading


def test_ranges_hold_exactly_what_they_are_made_of() -> None:
    assert ranges_of([3, 1, 2, 2, 7, 9, 8]) == [(1, 3), (7, 9)]
    assert ranges_of([]) == []


def stored(node: str, *seqs: int) -> Answers:
    return {node: {"s": Stream(list(seqs))}}


class Bus:
    """Takes messages, or not while `is_connected` is False."""

    def __init__(self) -> None:
        self.published: list[tuple[str, list[Range]]] = []
        self.is_connected = True
        self.calls = 0

    def __call__(self, answers: Sequence[Answer]) -> int:
        self.calls += 1
        if not self.is_connected:
            return 0
        self.published += [(topic.node, message.ranges) for topic, message in answers]
        return len(answers)


def test_answers_name_what_is_stored_and_what_never_will_be() -> None:
    refused = [RefusedReading("pi4", ReadingKey("s", 9), "bad"), RefusedReading("pi4", None, "bad")]
    found = answers_of([reading(1), reading(2), reading(5, stream="t")], refused)
    assert found == {"pi4": {"s": Stream([1, 2], [9]), "t": Stream([5])}}


def test_each_node_gets_the_ranges_of_its_readings() -> None:
    bus = Bus()
    Acknowledger(bus).acknowledge(stored("pi4", 1, 2, 5) | stored("pizero", 7))
    assert bus.published == [("pi4", [(1, 2), (5, 5)]), ("pizero", [(7, 7)])]
    assert bus.calls == 1


def test_what_the_bus_did_not_take_is_published_with_the_next() -> None:
    bus = Bus()
    acknowledger = Acknowledger(bus)
    bus.is_connected = False
    acknowledger.acknowledge(stored("pi4", 1, 2))
    bus.is_connected = True
    acknowledger.acknowledge(stored("pi4", 3))
    acknowledger.acknowledge({})
    assert bus.published == [("pi4", [(1, 3)])]


def test_many_ranges_are_several_messages() -> None:
    bus = Bus()
    Acknowledger(bus).acknowledge(stored("pi4", *range(0, 2 * MAX_RANGES + 2, 2)))
    assert [len(ranges) for _, ranges in bus.published] == [MAX_RANGES, 1]
