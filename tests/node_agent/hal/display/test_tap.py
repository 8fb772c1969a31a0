import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.hal.display.tap import HEIGHT, WIDTH, DisplayTap, Picture
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated.display import (
    Controller,
    SimulatedDisplay,
    SimulatedSsd1306,
    make_display,
)
from plugins.oled.driver import FRAME_BYTES, Panel, Sh1106, Ssd1306

ADDRESS = 0x3C
DARK = Picture(on=False, frame=bytes(FRAME_BYTES))


class Bus:
    """A display that can be unplugged, and a chip that takes whatever it is sent."""

    def __init__(self) -> None:
        self.display = SimulatedSsd1306()
        self.is_plugged = True
        self.tap = DisplayTap(ADDRESS, self._transfer)
        self.driver = Ssd1306(lambda data, read_len: self.tap.i2c_transfer(ADDRESS, data, read_len))

    def _transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        if address == ADDRESS:
            if not self.is_plugged:
                raise DeviceUnavailableError("no answer at i2c-1 0x3c")
            self.display.write(data)
        return b"\xa5" * read_len

    def shown(self) -> bytes:
        return packed(self.display)


@given(st.lists(st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES), min_size=1, max_size=3))
def test_the_picture_is_what_the_display_shows(frames: list[bytes]) -> None:
    bus = Bus()
    for frame in frames:
        bus.driver.show(frame)
        assert bus.tap.seen() == Picture(on=True, frame=bus.shown())


def test_the_highest_bit_of_the_first_byte_is_the_top_left_pixel() -> None:
    bus = Bus()
    bus.driver.show(b"\x01" + bytes(FRAME_BYTES - 1))
    seen = bus.tap.seen()
    assert seen is not None
    assert seen.frame == b"\x80" + bytes(WIDTH // 8 * HEIGHT - 1)


def test_before_anything_was_sent_there_is_no_picture() -> None:
    bus = Bus()
    assert bus.tap.seen() is None
    assert bus.tap.i2c_transfer(0x77, b"\xd0", 1) == b"\xa5"
    assert bus.tap.seen() is None


def test_other_chips_at_the_bus_are_passed_on_and_change_nothing() -> None:
    bus = Bus()
    bus.driver.show(bytes(FRAME_BYTES))
    before = bus.tap.seen()
    bus.tap.i2c_transfer(0x77, b"\x40" + b"\xff" * 100, 0)
    assert bus.tap.seen() == before


def test_inverse_and_off_are_seen() -> None:
    bus = Bus()
    bus.driver.show(bytes(FRAME_BYTES))
    bus.tap.i2c_transfer(ADDRESS, b"\x00\xa7", 0)
    assert bus.tap.seen() == Picture(on=True, frame=b"\xff" * FRAME_BYTES)
    bus.tap.i2c_transfer(ADDRESS, b"\x00\xae", 0)
    assert bus.tap.seen() == DARK


def test_an_unplugged_display_is_dark_and_comes_back() -> None:
    bus = Bus()
    bus.driver.show(b"\x55" * FRAME_BYTES)
    bus.is_plugged = False
    with pytest.raises(DeviceUnavailableError, match="0x3c"):
        bus.driver.show(b"\x55" * FRAME_BYTES)
    assert bus.tap.seen() == DARK
    bus.is_plugged = True
    bus.display.power_on()
    bus.driver.show(b"\x55" * FRAME_BYTES)
    assert bus.tap.seen() == Picture(on=True, frame=bus.shown())


@given(st.lists(st.binary(max_size=40), max_size=20), st.binary(min_size=1024, max_size=1024))
def test_whatever_was_missed_or_garbled_before_a_whole_start_is_followed(
    garbage: list[bytes], frame: bytes
) -> None:
    bus = Bus()
    for data in garbage:
        bus.tap.i2c_transfer(ADDRESS, data, 0)
    # A command that waits for its arguments takes them from what comes next, as in the chip.
    bus.tap.i2c_transfer(ADDRESS, b"\x00" + b"\xe3" * 6, 0)
    bus.tap.i2c_transfer(ADDRESS, b"\x00\x2e", 0)
    bus.driver.show(frame)
    assert bus.tap.seen() == Picture(on=True, frame=bus.shown())


def test_a_tap_that_begins_in_the_middle_knows_all_after_the_next_whole_start() -> None:
    bus = Bus()
    bus.driver.show(b"\xf0" * FRAME_BYTES)
    late = DisplayTap(ADDRESS, bus.tap.i2c_transfer)
    driver = Ssd1306(lambda data, read_len: late.i2c_transfer(ADDRESS, data, read_len))
    late.i2c_transfer(ADDRESS, b"\x40" + b"\x0f" * 32, 0)
    assert late.seen() == DARK
    driver.show(b"\x0f" * FRAME_BYTES)
    assert late.seen() == Picture(on=True, frame=bus.shown())


@pytest.mark.parametrize("controller", ["SSD1306", "SH1106"])
@pytest.mark.parametrize("height", [32, 64])
def test_controller_and_size_are_told_by_what_is_sent(controller: Controller, height: int) -> None:
    display = make_display(controller, height, seed=3)

    def transfer(_: int, data: bytes, read_len: int) -> bytes:
        display.write(data)
        return b"\xa5" * read_len

    tap = DisplayTap(ADDRESS, transfer)
    panel, make = Panel(height), Sh1106 if controller == "SH1106" else Ssd1306
    for driver in (Ssd1306, make):
        driver(lambda data, read_len: tap.i2c_transfer(ADDRESS, data, read_len), panel).show(
            b"\x5a" * panel.frame_bytes
        )
    assert tap.seen() == Picture(on=True, frame=packed(display))
    tap.i2c_transfer(ADDRESS, b"\x00\xae", 0)
    dark = tap.seen()
    assert dark == Picture(on=False, frame=bytes(panel.frame_bytes))
    assert dark.height == height


def packed(display: SimulatedDisplay) -> bytes:
    """Return what a simulated display shows, packed here by other means than the tap's."""
    return bytes(
        sum(0x80 >> i for i in range(8) if row[x + i])
        for row in display.frame()
        for x in range(0, WIDTH, 8)
    )
