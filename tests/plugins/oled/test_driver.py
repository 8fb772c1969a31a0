"""SSD1306 and SH1106 drivers against displays that decode their transfers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.hal.simulated.display import Controller, SimulatedSsd1306, make_display
from plugins.oled.driver import FRAME_BYTES, HEIGHT, WIDTH, Panel, Sh1106, Ssd1306

DARK = bytes(FRAME_BYTES)
NOISE = random.Random(1).randbytes(FRAME_BYTES)
DATA = 0x40


class UnpluggedError(Exception):
    """An error of the bus."""


class Bench:
    def __init__(self, controller: Controller = "SSD1306", panel: Panel | None = None) -> None:
        panel = panel or Panel()
        self.display = make_display(controller, panel.height, seed=7)
        self.sent: list[bytes] = []
        self.plugged = True
        self.fails_after: int | None = None
        driver = Sh1106 if controller == "SH1106" else Ssd1306
        self.driver = driver(self._transfer, panel)

    def _transfer(self, write: bytes, read_len: int) -> bytes:
        assert read_len == 0
        if not self.plugged or self.fails_after == len(self.sent):
            raise UnpluggedError
        self.sent.append(write)
        self.display.write(write)
        return b""

    def show(self, frame: bytes) -> list[bytes]:
        """Return the transfers of one frame."""
        self.sent.clear()
        self.driver.show(frame)
        return list(self.sent)

    def replug(self) -> None:
        self.display.power_on()


def picture(frame: bytes) -> tuple[tuple[bool, ...], ...]:
    return tuple(
        tuple(bool(frame[y // 8 * WIDTH + x] & 1 << y % 8) for x in range(WIDTH))
        for y in range(len(frame) * 8 // WIDTH)
    )


def data_bytes(sent: list[bytes]) -> int:
    return sum(len(write) - 1 for write in sent if write[0] == DATA)


def test_the_display_shows_the_frame_upright() -> None:
    bench = Bench()
    bench.show(NOISE)
    assert bench.display.frame() == picture(NOISE)


def test_the_display_stays_dark_until_it_has_a_picture() -> None:
    bench = Bench()
    bench.fails_after = 10
    with pytest.raises(UnpluggedError):
        bench.show(NOISE)
    assert not bench.display.lit


def test_an_unchanged_frame_costs_two_bytes() -> None:
    bench = Bench()
    bench.show(NOISE)
    assert bench.show(NOISE) == [b"\x00\xe3"]
    assert bench.display.frame() == picture(NOISE)


def test_only_the_changed_columns_of_a_page_are_sent() -> None:
    bench = Bench()
    bench.show(DARK)
    changed = bytearray(DARK)
    changed[3 * WIDTH + 10] = 0xFF
    changed[3 * WIDTH + 14] = 0x01
    sent = bench.show(bytes(changed))
    assert sent == [bytes([0x00, 0x21, 10, 14, 0x22, 3, 3]), b"\x40\xff\x00\x00\x00\x01"]
    assert bench.display.frame() == picture(bytes(changed))


def test_one_update_sends_one_full_frame_at_most_and_in_small_pieces() -> None:
    bench = Bench()
    for frame in (NOISE, bytes(255 - b for b in NOISE), DARK):
        sent = bench.show(frame)
        assert data_bytes(sent) <= FRAME_BYTES
        assert max(map(len, sent)) <= 33


@given(st.lists(st.tuples(st.integers(0, FRAME_BYTES - 1), st.integers(0, 255)), max_size=12))
def test_any_changes_arrive(changes: list[tuple[int, int]]) -> None:
    bench = Bench()
    bench.show(NOISE)
    frame = bytearray(NOISE)
    for at, value in changes:
        frame[at] = value
    bench.show(bytes(frame))
    assert bench.display.frame() == picture(bytes(frame))


def test_a_display_that_was_unplugged_comes_back_by_itself() -> None:
    bench = Bench()
    bench.show(NOISE)
    bench.plugged = False
    for _ in range(2):
        with pytest.raises(UnpluggedError):
            bench.show(NOISE)
    bench.plugged = True
    bench.replug()
    bench.show(NOISE)
    assert bench.display.frame() == picture(NOISE)


def test_a_transfer_that_fails_midway_is_made_good_by_the_next_update() -> None:
    bench = Bench()
    bench.show(DARK)
    bench.fails_after = 3
    with pytest.raises(UnpluggedError):
        bench.show(NOISE)
    bench.fails_after = None
    bench.show(NOISE)
    assert bench.display.frame() == picture(NOISE)


def test_a_display_replugged_between_two_updates_is_back_within_150() -> None:
    bench = Bench()
    bench.show(NOISE)
    bench.replug()
    costs = [data_bytes(bench.show(NOISE)) for _ in range(150)]
    assert bench.display.frame() == picture(NOISE)
    assert sum(costs) == FRAME_BYTES


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 bytes, found 3"):
        Bench().driver.show(b"abc")


DISPLAYS = [
    (controller, Panel(height, is_flipped=is_flipped))
    for controller in ("SSD1306", "SH1106")
    for height in (32, 64)
    for is_flipped in (False, True)
]


@pytest.mark.parametrize(("controller", "panel"), DISPLAYS)
def test_every_display_shows_the_frame_and_its_changes(
    controller: Controller, panel: Panel
) -> None:
    bench = Bench(controller, panel)
    frame = bytearray(NOISE[: panel.frame_bytes])

    def expected() -> tuple[tuple[bool, ...], ...]:
        shown = picture(bytes(frame))
        return tuple(row[::-1] for row in shown[::-1]) if panel.is_flipped else shown

    sent = bench.show(bytes(frame))
    assert bench.display.frame() == expected()
    assert data_bytes(sent) == panel.frame_bytes
    frame[0] ^= 0xFF
    frame[-1] ^= 0xFF
    frame[130:140] = bytes(10)
    sent = bench.show(bytes(frame))
    assert bench.display.frame() == expected()
    assert data_bytes(sent) < 40
    assert bench.show(bytes(frame)) == [b"\x00\xe3"]


def test_an_sh1106_is_written_by_page_from_its_third_column_on() -> None:
    bench = Bench("SH1106")
    bench.show(DARK)
    changed = bytearray(DARK)
    changed[3 * WIDTH + 10] = 0xFF
    changed[3 * WIDTH + 14] = 0x01
    assert bench.show(bytes(changed)) == [
        bytes([0x00, 0xB3, 0x0C, 0x10]),
        b"\x40\xff\x00\x00\x00\x01",
    ]


@pytest.mark.parametrize("controller", ["SSD1306", "SH1106"])
def test_the_contrast_is_that_of_the_panel(controller: Controller) -> None:
    for contrast in (0, 0x7F, 255):
        bench = Bench(controller, Panel(contrast=contrast))
        bench.show(NOISE)
        assert bench.display.contrast == contrast


@pytest.mark.parametrize("controller", ["SSD1306", "SH1106"])
def test_a_display_that_is_switched_off_shows_all_again(controller: Controller) -> None:
    bench = Bench(controller)
    bench.show(NOISE)
    bench.driver.switch_off()
    assert not bench.display.lit
    bench.show(NOISE)
    assert bench.display.frame() == picture(NOISE)


def test_an_ssd1306_driver_makes_no_picture_on_an_sh1106() -> None:
    display = make_display("SH1106", HEIGHT, seed=7)

    def transfer(write: bytes, _: int) -> bytes:
        display.write(write)
        return b""

    Ssd1306(transfer).show(NOISE)
    assert display.frame() != picture(NOISE)


def test_the_set_up_of_a_high_panel_shows_a_low_one_only_every_second_row() -> None:
    display = SimulatedSsd1306(seed=7, panel_rows=32)

    def transfer(write: bytes, _: int) -> bytes:
        display.write(write)
        return b""

    Ssd1306(transfer).show(NOISE)
    assert display.frame() == picture(NOISE)[1::2]
