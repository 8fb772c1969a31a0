"""The bounded queue of payloads before the history's thread."""

import threading

from bus.contract.messages import Backlog
from hub_app.history.inbox import Inbox


def test_payloads_are_taken_in_the_order_of_arrival() -> None:
    inbox = Inbox()
    inbox.put("a", b"1")
    inbox.put("b", b"2")
    assert list(inbox.take(0.0)) == [("a", b"1", None), ("b", b"2", None)]
    assert not inbox.take(0.0)


def test_a_payload_that_does_not_fit_is_counted_and_dropped() -> None:
    inbox = Inbox(max_bytes=1000)
    for _ in range(3):
        inbox.put("t", bytes(250))
    assert (len(inbox.take(0.0)), inbox.overrun) == (2, 1)
    inbox.put("t", bytes(250))
    assert (len(inbox.take(0.0)), inbox.overrun) == (1, 1)


def test_waking_ends_a_take_that_waits() -> None:
    inbox = Inbox()
    inbox.wake()
    assert not inbox.take(3600.0)


def test_a_take_that_waits_is_woken_once_for_many_payloads() -> None:
    inbox, wakes = Inbox(), 0

    class Ready(threading.Event):
        def set(self) -> None:
            nonlocal wakes
            wakes += 1
            super().set()

    inbox._ready = Ready()
    for number in range(2_000):
        inbox.put(f"harvester/node-{number}/readings/x", b"")
        if number == 100:
            # Some 20 KB are not worth it.
            assert not wakes
    assert wakes == 1
    # Those that wait are taken at the next commit, whatever they are.
    assert len(inbox.take(3600.0)) == 1200


def test_each_node_has_its_turn() -> None:
    inbox = Inbox()
    # More than is taken at a time.
    for n in range(3):
        inbox.put("harvester/flooder/readings/x", b"%d" % n + bytes(120_000))
    inbox.put("harvester/pi5/readings/x", b"mine")
    taken = [payload[:4] for _, payload, _ in inbox.take(0.0)]
    assert taken == [b"0\0\0\0", b"mine", b"1\0\0\0"]
    assert [payload[:1] for _, payload, _ in inbox.take(0.0)] == [b"2"]
    assert inbox.has_room


def test_what_is_new_goes_before_backlogs_which_go_on_nevertheless() -> None:
    inbox = Inbox()
    backlog = Backlog([])
    for n in range(40):
        inbox.put(f"harvester/node-{n}/backlog", bytes(80_000), backlog)
    for n in range(40):
        inbox.put(f"harvester/node-{n}/readings/x", bytes(8_600))
    first = [topic for topic, _, _ in inbox.take(0.0)]
    assert sum(topic.endswith("/readings/x") for topic in first) == 21
    assert sum(topic.endswith("/backlog") for topic in first) == 1
    taken = [topic for topic, _, _ in inbox.take(0.0)]
    assert sum(topic.endswith("/readings/x") for topic in taken) == 19
    while some := inbox.take(0.0):
        taken += [topic for topic, _, _ in some]
    assert sum(topic.endswith("/backlog") for topic in [*first, *taken]) == 40
    assert inbox.has_room


def test_a_full_inbox_has_no_room_for_the_one_that_filled_it() -> None:
    rooms: list[bool] = []
    inbox = Inbox(full_bytes=1_000)
    inbox.on_room = lambda: rooms.append(True)
    for _ in range(5):
        inbox.put("harvester/flooder/readings/x", b"")
    inbox.put("harvester/pi5/readings/x", b"")
    assert [inbox.is_above_share(node) for node in ("flooder", "pi5", "pi6")] == [
        True,
        False,
        False,
    ]
    assert not inbox.has_room
    assert len(inbox.take(0.0)) == 6
    assert inbox.has_room
    assert rooms == [True]


def test_a_backlog_goes_on_beside_large_new_payloads() -> None:
    inbox = Inbox()
    inbox.put("harvester/pi4/backlog", b"old", Backlog([]))
    for _ in range(3):
        inbox.put("harvester/pi5/readings/x", bytes(250_000))
    assert [payload[:3] for _, payload, _ in inbox.take(0.0)] == [bytes(3), b"old"]
