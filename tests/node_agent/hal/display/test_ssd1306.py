import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent.hal.simulated.display import HEIGHT, WIDTH, SimulatedSsd1306
from plugins.oled.driver import Ssd1306

INIT = "ae 20 00 a1 c8 8d 14 af"
DARK = ((False,) * WIDTH,) * HEIGHT
LIT = ((True,) * WIDTH,) * HEIGHT


def command(display: SimulatedSsd1306, text: str) -> None:
    display.write(b"\x00" + bytes.fromhex(text))


def data(display: SimulatedSsd1306, content: bytes) -> None:
    display.write(b"\x40" + content)


def display_of(setup: str = INIT, content: bytes = bytes(1024)) -> SimulatedSsd1306:
    display = SimulatedSsd1306()
    command(display, setup)
    data(display, content)
    return display


def lit(display: SimulatedSsd1306) -> set[tuple[int, int]]:
    return {(x, y) for y, row in enumerate(display.frame()) for x, on in enumerate(row) if on}


def test_a_display_is_dark_until_it_is_switched_on_and_its_charge_pump_runs() -> None:
    display = SimulatedSsd1306()
    assert display.frame() == DARK
    command(display, "af")
    assert display.frame() == DARK
    command(display, "8d 14")
    assert display.frame() != DARK
    command(display, "ae")
    assert display.frame() == DARK


def test_memory_holds_noise_at_power_on() -> None:
    display = SimulatedSsd1306()
    command(display, "8d 14 af")
    assert display.frame() not in (DARK, LIT)


def test_the_usual_set_up_puts_the_first_bit_at_the_top_left() -> None:
    assert lit(display_of(content=b"\x01" + bytes(1023))) == {(0, 0)}
    assert lit(display_of(content=bytes(1023) + b"\x80")) == {(127, 63)}


def test_without_remap_and_reversed_scan_the_picture_is_upside_down() -> None:
    setup = "20 00 a0 c0 8d 14 af"
    assert lit(display_of(setup, b"\x01" + bytes(1023))) == {(127, 63)}


def test_segment_remap_changes_later_writes_only() -> None:
    display = display_of(content=b"\x01" + bytes(1023))
    command(display, "a0")
    assert lit(display) == {(0, 0)}
    data(display, b"\x02")
    assert lit(display) == {(0, 0), (127, 1)}


def test_the_scan_direction_changes_the_picture_at_once() -> None:
    display = display_of(content=b"\x01" + bytes(1023))
    command(display, "c0")
    assert lit(display) == {(0, 63)}


def test_a_window_is_filled_in_rows_in_horizontal_addressing() -> None:
    display = display_of()
    command(display, "20 00 21 05 06 22 02 03")
    data(display, b"\x01\x02\x04\x08\x10")
    assert lit(display) == {(6, 17), (5, 26), (6, 27), (5, 20)}


def test_a_window_is_filled_in_columns_in_vertical_addressing() -> None:
    display = display_of()
    command(display, "20 01 21 05 06 22 02 03")
    data(display, b"\x01\x02\x04\x08\x10")
    assert lit(display) == {(5, 25), (6, 18), (6, 27), (5, 20)}


def test_page_addressing_stays_in_its_page_and_comes_back_to_its_start_column() -> None:
    display = display_of()
    command(display, "20 02 b3 0e 17")
    data(display, b"\x01\x02\x04")
    assert lit(display) == {(126, 26), (127, 25)}


def test_page_commands_mean_nothing_in_the_other_modes() -> None:
    display = display_of()
    command(display, "b3 05 11")
    data(display, b"\x01")
    assert lit(display) == {(0, 0)}


def test_the_start_line_scrolls_the_picture_up() -> None:
    display = display_of(content=b"\x01" + bytes(1023))
    command(display, "48")
    assert lit(display) == {(0, 56)}


def test_the_display_offset_shifts_the_picture() -> None:
    display = display_of(content=b"\x01" + bytes(1023))
    command(display, "d3 08")
    assert lit(display) == {(0, 56)}


def test_inverse_and_all_on() -> None:
    display = display_of(content=b"\x01" + bytes(1023))
    command(display, "a7")
    assert len(lit(display)) == WIDTH * HEIGHT - 1
    command(display, "a5")
    assert display.frame() == LIT
    command(display, "a4 a6")
    assert lit(display) == {(0, 0)}


def test_rows_beyond_the_multiplex_ratio_stay_dark() -> None:
    display = display_of(content=b"\xff" * 1024)
    command(display, "a8 1f")
    assert {y for _, y in lit(display)} == set(range(32, 64))


def test_contrast_is_taken() -> None:
    display = SimulatedSsd1306()
    assert display.contrast == 0x7F
    command(display, "81 cf")
    assert display.contrast == 0xCF


def test_arguments_may_come_in_later_transactions_and_after_other_control_bytes() -> None:
    display = display_of()
    for part in ("21", "05", "06 22", "02 03"):
        command(display, part)
    display.write(bytes.fromhex("80 81 80 12 40 01"))
    assert lit(display) == {(5, 16)}
    assert display.contrast == 0x12


def test_one_transaction_may_change_between_commands_and_data_byte_by_byte() -> None:
    display = display_of()
    display.write(bytes.fromhex("80 21 80 08 80 7f c0 01 c0 02 80 a7 80 a6 40 04 08"))
    assert lit(display) == {(8, 0), (9, 1), (10, 2), (11, 3)}


def test_settings_without_effect_here_take_their_arguments_along() -> None:
    display = display_of()
    command(
        display, "2e 26 00 00 00 07 00 ff 29 00 00 00 07 01 a3 00 40 d5 80 d9 f1 da 12 db 40 e3"
    )
    data(display, b"\x01")
    assert lit(display) == {(0, 0)}


def test_the_status_tells_whether_it_is_off() -> None:
    display = SimulatedSsd1306()
    assert display.read(1) == b"\x40"
    command(display, "af")
    assert display.read(2) == b"\x00\x00"


def test_power_on_forgets() -> None:
    display = display_of(content=b"\xff" * 1024)
    display.power_on()
    assert display.frame() == DARK
    assert display.contrast == 0x7F


@given(st.binary(max_size=300), st.integers(1, 7))
def test_no_stream_of_bytes_upsets_the_decoder(stream: bytes, size: int) -> None:
    display = SimulatedSsd1306()
    for start in range(0, len(stream), size):
        display.write(stream[start : start + size])
    assert len(display.frame()) == HEIGHT


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 63)), max_size=40), st.data())
def test_in_every_addressing_mode_the_same_pixels_can_be_drawn(
    pixels: list[tuple[int, int]], draw: st.DataObject
) -> None:
    pages = [bytearray(WIDTH) for _ in range(8)]
    for x, y in pixels:
        pages[y // 8][x] |= 1 << y % 8
    mode = draw.draw(st.sampled_from(["horizontal", "vertical", "page"]))
    display = SimulatedSsd1306()
    command(display, "a1 c8 8d 14 af")
    if mode == "page":
        for number, page in enumerate(pages):
            command(display, f"20 02 b{number:x} 00 10")
            data(display, bytes(page))
    elif mode == "horizontal":
        command(display, "20 00")
        data(display, b"".join(pages))
    else:
        command(display, "20 01")
        data(display, bytes(page[x] for x in range(WIDTH) for page in pages))
    assert lit(display) == set(pixels)


@pytest.mark.parametrize("column", [0, 1, 77, 127])
def test_the_plugins_driver_and_the_display_agree(column: int) -> None:
    display = SimulatedSsd1306()

    def transfer(written: bytes, read_len: int) -> bytes:
        display.write(written)
        return display.read(read_len) if read_len else b""

    oled = Ssd1306(transfer)
    oled.show(bytes(1024))
    frame = bytearray(1024)
    frame[3 * 128 + column] = 0x81
    oled.show(bytes(frame))
    assert lit(display) == {(column, 24), (column, 31)}
