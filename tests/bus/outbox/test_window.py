from bus.contract.messages import Reading
from bus.outbox.window import MAX_BATCHES, Window


def readings(first: int, count: int) -> list[Reading]:
    return [Reading("pi4", "room", 0, "s", seq, {}) for seq in range(first, first + count)]


def test_a_window_has_room_for_few_batches_and_a_bounded_rate() -> None:
    window = Window(rows_per_s=100, resend_s=10)
    for batch in range(MAX_BATCHES):
        now_s = batch * 1.0
        assert window.has_room(now_s)
        window.sent(readings(batch * 100, 100), now_s)
        assert not window.has_room(now_s + 0.9)
    assert not window.has_room(5.0)
    window.stored("s", [(0, 98)])
    assert not window.has_room(5.0)
    window.stored("s", [(99, 99)])
    assert window.has_room(5.0)
    assert window.cursor == ("s", 399)


def test_a_batch_that_is_not_stored_in_time_makes_room_for_those_behind_it() -> None:
    window = Window(rows_per_s=100, resend_s=10)
    window.sent(readings(0, 5), 0.0)
    window.stored("other", [(0, 5)])
    assert not window.expire(10.0)
    assert not window.is_idle
    assert window.expire(10.1)
    assert window.is_idle
    assert window.cursor == ("s", 4)
    window.restart()
    assert window.cursor is None
    assert window.has_room(10.1)
