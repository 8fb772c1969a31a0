import pytest

from bus.clock import Moment
from bus.outbox.numbering import ClockWatch, Numbering, Sample

START_MS = 1_795_000_000_000


def moment(elapsed_ms: int = 1000, offset_ms: int = START_MS, *, is_set: bool = True) -> Moment:
    return Moment(offset_ms + elapsed_ms, elapsed_ms, is_set)


def test_readings_of_one_process_are_one_stream_and_numbered_in_order() -> None:
    numbering = Numbering("pi4", "boot")
    sample = Sample("room", START_MS + 1000, {"t": 20.5})
    readings = [numbering.number(sample, "dht22", moment()) for _ in range(3)]
    assert [reading.seq for reading in readings] == [0, 1, 2]
    assert {reading.stream for reading in readings} == {numbering.stream}
    assert Numbering("pi4", "boot").stream != numbering.stream


def test_a_time_of_the_machines_clock_has_its_monotonic_time_and_boot() -> None:
    reading = Numbering("pi4", "boot").number(
        Sample("room", START_MS + 900, {}), "dht22", moment(is_set=False)
    )
    assert (reading.boot_id, reading.monotonic_ms, reading.clock) == ("boot", 900, "unset")


def test_a_time_of_another_clock_has_neither() -> None:
    reading = Numbering("pi4", "boot").number(
        Sample("gps", START_MS + 60_000, {}), "gps", moment(is_set=False)
    )
    assert (reading.boot_id, reading.monotonic_ms, reading.clock) == ("", 0, "set")


def test_the_clock_is_set_once_when_ntp_answers() -> None:
    watch = ClockWatch(moment(is_set=False))
    watch.look(moment(2000, is_set=False))
    assert watch.take_set() is None
    set_at = moment(3000)
    watch.look(set_at)
    assert [watch.take_set(), watch.take_set()] == [set_at, None]
    watch.look(moment(4000))
    assert watch.take_set() is None


def test_a_jump_of_an_unset_clock_is_logged_and_dates_readings_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = ClockWatch(moment(is_set=False))
    jumped = moment(2000, START_MS + 5000, is_set=False)
    watch.look(jumped)
    assert watch.take_set() == jumped
    assert caplog.messages == ["the clock was set: it jumped by +5.0 s"]


def test_a_reading_with_an_unset_clock_makes_the_next_set_clock_count() -> None:
    watch = ClockWatch(moment())
    watch.look(moment(2000))
    assert watch.take_set() is not None
    unset = moment(3000, is_set=False)
    watch.note(Numbering("pi4", "boot").number(Sample("room", unset.wall_ms, {}), "", unset))
    set_at = moment(4000)
    watch.look(set_at)
    assert watch.take_set() == set_at
