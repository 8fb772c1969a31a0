"""SH1106 after its datasheet: page addressing, 132 columns, converter; panels of 32 rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.hal.simulated.display import (
    Controller,
    SimulatedDisplay,
    SimulatedSh1106,
    SimulatedSsd1306,
    make_display,
)

SET_UP = "ae a1 c8 af"
DARK = ((False,) * 128,) * 64


def command(display: SimulatedDisplay, text: str) -> None:
    display.write(b"\x00" + bytes.fromhex(text))


def data(display: SimulatedDisplay, content: bytes) -> None:
    display.write(b"\x40" + content)


def display_of(setup: str = SET_UP) -> SimulatedSh1106:
    """Return a display with an empty memory."""
    display = SimulatedSh1106()
    for page in range(8):
        command(display, f"b{page} 00 10")
        data(display, bytes(132))
    command(display, setup)
    return display


def lit(display: SimulatedDisplay) -> set[tuple[int, int]]:
    return {(x, y) for y, row in enumerate(display.frame()) for x, on in enumerate(row) if on}


def test_it_is_lit_as_soon_as_it_is_on_unless_its_converter_was_switched_off() -> None:
    display = SimulatedSh1106()
    assert display.frame() == DARK
    command(display, "af")
    assert display.frame() != DARK
    command(display, "ad 8a")
    assert display.frame() == DARK
    command(display, "ad 8b")
    assert display.frame() != DARK


@pytest.mark.parametrize("remap", ["a0", "a1"])
def test_the_panel_shows_columns_2_to_129(remap: str) -> None:
    display = display_of(f"{remap} c8 af")
    for column in (0, 1, 2, 129, 130, 131):
        command(display, f"b0 0{column & 15:x} 1{column >> 4:x}")
        data(display, b"\x01")
    assert lit(display) == {(0, 0), (127, 0)}


def test_the_address_stops_behind_the_last_column_and_stays_in_its_page() -> None:
    display = display_of()
    command(display, "b3 00 18")
    data(display, b"\xff" * 20)
    assert lit(display) == {(x, y) for x in (126, 127) for y in range(24, 32)}
    command(display, "0f 1f")
    data(display, b"\xff")
    assert len(lit(display)) == 16


def test_there_is_no_other_addressing_mode() -> None:
    display = display_of()
    # 0x20, 0x21 and 0x22 do nothing; what follows them is taken for columns and start line.
    command(display, "b2 20 00 21 02 10 22 02")
    data(display, b"\x01")
    assert lit(display) == {(0, 16)}


def test_start_line_offset_inverse_and_all_on_are_as_in_the_ssd1306() -> None:
    display = display_of()
    command(display, "b0 02 10")
    data(display, b"\x01")
    command(display, "48")
    assert lit(display) == {(0, 56)}
    command(display, "40 d3 08")
    assert lit(display) == {(0, 56)}
    command(display, "d3 00 a7")
    assert len(lit(display)) == 128 * 64 - 1
    command(display, "a5")
    assert len(lit(display)) == 128 * 64


def test_the_contrast_is_in_the_middle_after_a_reset() -> None:
    display = SimulatedSh1106()
    assert display.contrast == 0x80
    command(display, "81 07")
    assert display.contrast == 7
    display.power_on()
    assert display.contrast == 0x80


def test_a_low_panel_takes_sequential_pins_and_32_lines() -> None:
    display = SimulatedSsd1306(panel_rows=32)
    command(display, "a8 1f da 02 a1 c8 8d 14 20 00 af")
    data(display, b"\x01" + bytes(511) + b"\xff" * 512)
    assert len(display.frame()) == 32
    assert lit(display) == {(0, 0)}


def test_sequential_pins_put_the_rows_of_a_high_panel_into_another_order() -> None:
    display = SimulatedSsd1306()
    command(display, "da 02 a1 c8 8d 14 20 00 af")
    data(display, b"\xff" * 512 + bytes(512))
    assert {y for _, y in lit(display)} == set(range(0, 64, 2))


@given(
    st.sampled_from(["SSD1306", "SH1106"]),
    st.sampled_from([32, 64]),
    st.binary(max_size=300),
    st.integers(1, 7),
)
def test_no_stream_of_bytes_upsets_a_decoder(
    controller: Controller, rows: int, stream: bytes, size: int
) -> None:
    display = make_display(controller, rows, 0)
    for start in range(0, len(stream), size):
        display.write(stream[start : start + size])
    assert len(display.frame()) == rows
