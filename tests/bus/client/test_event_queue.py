"""Events over outages: in order, none forgotten before its acknowledgement, and bounded."""

import logging

import pytest

from bus.client.event_queue import EventQueue
from bus.contract.messages import Event


class Link:
    """A link that gives each message a packet id while it is up."""

    def __init__(self) -> None:
        self.is_up = True
        self.sent: list[tuple[str, int]] = []

    def publish(self, sensor_id: str, event: Event) -> int | None:
        if not self.is_up:
            return None
        self.sent.append((sensor_id, event.timestamp_ms))
        return len(self.sent)

    def times(self) -> list[int]:
        return [at_ms for _, at_ms in self.sent]


def event(at_ms: int) -> Event:
    return Event("pressed", {}, at_ms)


def test_an_event_is_sent_at_once_and_forgotten_when_it_is_acknowledged() -> None:
    link = Link()
    queue = EventQueue(link.publish)
    queue.put("bell", event(1))
    assert (link.sent, len(queue)) == ([("bell", 1)], 1)
    queue.acknowledged(1)
    assert len(queue) == 0


def test_events_of_an_outage_are_sent_in_order_when_the_link_is_back() -> None:
    link = Link()
    queue = EventQueue(link.publish)
    link.is_up = False
    for at_ms in (1, 2, 3):
        queue.put("bell", event(at_ms))
    assert link.sent == []
    link.is_up = True
    queue.connected()
    assert link.times() == [1, 2, 3]


def test_an_event_without_an_acknowledgement_is_sent_again_on_the_next_connection() -> None:
    link = Link()
    queue = EventQueue(link.publish)
    queue.put("bell", event(1))
    queue.put("bell", event(2))
    queue.acknowledged(1)
    queue.connected()
    assert link.times() == [1, 2, 2]


def test_what_the_link_did_not_take_waits_for_the_next_heartbeat() -> None:
    link = Link()
    queue = EventQueue(link.publish)
    link.is_up = False
    queue.put("bell", event(1))
    link.is_up = True
    queue.send_waiting()
    assert link.times() == [1]
    queue.send_waiting()
    assert link.times() == [1]


def test_the_oldest_go_where_there_are_too_many_and_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    link = Link()
    queue = EventQueue(link.publish, most=2)
    link.is_up = False
    with caplog.at_level(logging.WARNING):
        for at_ms in range(5):
            queue.put("bell", event(at_ms))
    link.is_up = True
    queue.connected()
    assert (link.times(), queue.dropped) == ([3, 4], 3)
    assert caplog.messages == ["no broker: the oldest event, of bell, was dropped; 1 so far"]


def test_acknowledgements_of_other_messages_are_ignored() -> None:
    link = Link()
    queue = EventQueue(link.publish)
    queue.acknowledged(1)
    queue.put("bell", event(1))
    queue.acknowledged(77)
    assert len(queue) == 1
