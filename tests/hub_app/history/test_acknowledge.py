"""Acknowledgement of stored readings."""

from bus.contract.messages import MAX_RANGES, Range, Stored
from bus.contract.topics import Topic
from hub_app.history.acknowledge import Acknowledger, StoredReading, ranges_of
from hub_app.history.decode import ReadingKey


def test_ranges_hold_exactly_what_they_are_made_of() -> None:
    assert ranges_of([3, 1, 2, 2, 7, 9, 8]) == [(1, 3), (7, 9)]
    assert ranges_of([]) == []


def stored(node: str, *seqs: int) -> list[StoredReading]:
    return [StoredReading(node, ReadingKey("s", seq)) for seq in seqs]


class Bus:
    """Takes messages, or not while `is_connected` is False."""

    def __init__(self) -> None:
        self.published: list[tuple[str, list[Range]]] = []
        self.is_connected = True

    def __call__(self, topic: Topic, message: Stored) -> bool:
        if self.is_connected:
            self.published.append((topic.node, message.ranges))
        return self.is_connected


def test_each_node_gets_the_ranges_of_its_readings() -> None:
    bus = Bus()
    Acknowledger(bus).acknowledge([*stored("pi4", 1, 2, 5), *stored("pizero", 7)])
    assert bus.published == [("pi4", [(1, 2), (5, 5)]), ("pizero", [(7, 7)])]


def test_what_the_bus_did_not_take_is_published_with_the_next() -> None:
    bus = Bus()
    acknowledger = Acknowledger(bus)
    bus.is_connected = False
    acknowledger.acknowledge(stored("pi4", 1, 2))
    bus.is_connected = True
    acknowledger.acknowledge(stored("pi4", 3))
    acknowledger.acknowledge([])
    assert bus.published == [("pi4", [(1, 3)])]


def test_many_ranges_are_several_messages() -> None:
    bus = Bus()
    Acknowledger(bus).acknowledge(stored("pi4", *range(0, 2 * MAX_RANGES + 2, 2)))
    assert [len(ranges) for _, ranges in bus.published] == [MAX_RANGES, 1]
