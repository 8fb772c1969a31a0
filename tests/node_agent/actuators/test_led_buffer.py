import pytest

from bus.errors import BadCommandError, UnavailableError
from node_agent.actuators.led_buffer import LedBuffer, from_hex, to_hex
from node_agent.hal.capabilities import BLACK, Color

RED = Color(255, 0, 0)


def test_the_first_write_happens_because_the_strip_keeps_its_colours_over_a_crash() -> None:
    assert LedBuffer(2).show(lambda _: None) == [BLACK, BLACK]


def test_an_unchanged_strip_is_not_written_again() -> None:
    written = []
    leds = LedBuffer(2)
    for _ in range(3):
        leds.show(written.append)
    leds.set_one(1, RED)
    leds.show(written.append)
    assert written == [[BLACK, BLACK], [BLACK, RED]]


def test_many_changes_are_one_write() -> None:
    written = []
    leds = LedBuffer(3)
    for index in range(3):
        leds.set_one(index, RED)
    leds.show(written.append)
    assert written == [[RED] * 3]


def test_a_write_that_failed_is_tried_again() -> None:
    leds = LedBuffer(1)

    def fail(_: object) -> None:
        raise UnavailableError

    with pytest.raises(UnavailableError):
        leds.show(fail)
    assert leds.show(lambda _: None) == [BLACK]


@pytest.mark.parametrize("index", [-1, 2])
def test_an_led_that_the_strip_lacks_is_refused(index: int) -> None:
    with pytest.raises(BadCommandError, match=f"found {index}, expected 0 to 1"):
        LedBuffer(2).set_one(index, RED)


def test_colours_are_spelled_as_on_the_bus() -> None:
    assert to_hex(from_hex("#ff8800")) == "#ff8800"


def test_a_node_without_a_strip_writes_nothing() -> None:
    assert LedBuffer(0).show(lambda _: None) is None
