import time

from bus.client.in_flight import InFlight


class Delivered:
    """A message that a test acknowledges."""

    def __init__(self, *, queued: bool = True) -> None:
        self.is_over = False
        self._queued = queued

    def is_published(self) -> bool:
        if not self._queued:
            raise RuntimeError("not queued")
        return self.is_over

    def wait_for_publish(self, timeout: float | None = None) -> None:
        assert timeout is not None
        if not self._queued:
            raise ValueError("not queued")
        self.is_over = True


def test_messages_count_until_they_are_acknowledged() -> None:
    first, second, in_flight = Delivered(), Delivered(), InFlight(10)
    for delivery in (first, second, Delivered(queued=False)):
        in_flight.add(delivery, 0.0)
    assert len(in_flight) == 2
    first.is_over = True
    assert len(in_flight) == 1


def test_a_broker_is_stalled_since_its_last_acknowledgement() -> None:
    first, second, in_flight = Delivered(), Delivered(), InFlight(10)
    assert in_flight.stalled_s(100.0) == 0.0
    in_flight.add(first, 100.0)
    in_flight.add(second, 104.0)
    assert in_flight.stalled_s(105.0) == 5.0
    first.is_over = True
    in_flight.acknowledged(106.0)
    assert in_flight.stalled_s(109.0) == 3.0
    second.is_over = True
    assert in_flight.stalled_s(200.0) == 0.0


def test_flush_waits_for_each_and_skips_those_that_were_never_queued() -> None:
    first, second, in_flight = Delivered(), Delivered(), InFlight(10)
    for delivery in (first, Delivered(queued=False), second):
        in_flight.add(delivery, 0.0)
    in_flight.flush(time.monotonic() + 60.0)
    assert len(in_flight) == 0


def test_flush_waits_for_nothing_after_its_deadline() -> None:
    delivery, in_flight = Delivered(), InFlight(10)
    in_flight.add(delivery, 0.0)
    in_flight.flush(time.monotonic() - 1.0)
    assert len(in_flight) == 1
