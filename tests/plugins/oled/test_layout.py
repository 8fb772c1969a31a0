"""Layout of rows on panels of both heights."""

import pytest

from tests.plugins.oled.modules import font, layout

Row = layout.Row
DEGREES = "\N{DEGREE SIGN}C"
ROOM = Row("Attic", "Temperature", "21.5", DEGREES)


def blank(height: int) -> bytearray:
    return bytearray(128 * height // 8)


def test_a_high_panel_has_a_title_and_rows_with_a_large_value_and_a_small_unit() -> None:
    frame = layout.compose(64, "HI", [ROOM, Row("", "Load", "7", "%"), Row("pi4", "Sats", "9")])
    expected = blank(64)
    font.draw(expected, 58, 0, "HI")
    font.draw_line(expected, 8)
    font.draw(expected, 0, 11, "Attic")
    font.draw(expected, 0, 19, "Temperature")
    font.draw(expected, 128 - 11 - 3 - 46, 11, "21.5", scale=2)
    font.draw(expected, 128 - 11, 18, DEGREES)
    font.draw(expected, 0, 37, "Load")
    font.draw(expected, 128 - 5 - 3 - 10, 29, "7", scale=2)
    font.draw(expected, 128 - 5, 36, "%")
    font.draw(expected, 0, 47, "pi4")
    font.draw(expected, 0, 55, "Sats")
    font.draw(expected, 118, 47, "9", scale=2)
    assert frame == bytes(expected)


@pytest.mark.parametrize(
    ("source", "heading"),
    [
        ("pi4", "pi4 normal"),
        ("", "normal"),
        ("Living room", "Living room"),
        ("x" * 40, "x" * 10 + "."),
    ],
)
def test_the_word_for_a_value_is_there_where_there_is_room(source: str, heading: str) -> None:
    row = Row(source, "Temperature", "21.5", DEGREES, "normal")
    assert layout.compose(64, "", [row]) == layout.compose(
        64, "", [row._replace(source=heading, word="")]
    )


def test_a_word_that_is_too_wide_is_small() -> None:
    frame = layout.compose(64, "", [Row("pi4", "Air quality", "calibrating")])
    expected = blank(64)
    font.draw(expected, 0, 0, "pi4")
    font.draw(expected, 0, 8, "Air quali.")
    font.draw(expected, 128 - 65, 7, "calibrating")
    assert frame == bytes(expected)


def test_a_low_panel_has_four_lines_of_text_and_no_title() -> None:
    rows = [ROOM, Row("", "Pressure", "1013.2", "hPa"), Row("", "Gas", "1.50", "k\N{OHM SIGN}")]
    frame = layout.compose(32, "HI", [*rows, *rows])
    expected = blank(32)
    lines = [("Temperature", f"21.5{DEGREES}"), ("Pressure", "1013.2 hPa"), ("Gas", "1.50 k\u03a9")]
    for index, (label, value) in enumerate([*lines, lines[0]]):
        font.draw(expected, 0, 8 * index, label)
        font.draw(expected, 128 - font.width(value), 8 * index, value)
    assert frame == bytes(expected)


@pytest.mark.parametrize(
    ("height", "title", "rows"), [(64, "HI", 3), (64, "", 4), (32, "HI", 4), (32, "", 4)]
)
def test_a_screen_has_room_for_so_many_rows(height: int, title: str, rows: int) -> None:
    assert layout.slots(height, title) == rows
    many = [Row("", "", str(n)) for n in range(9)]
    assert layout.compose(height, title, many) == layout.compose(height, title, many[:rows])
    assert layout.compose(height, title, many) != layout.compose(height, title, many[: rows - 1])


def test_below_a_title_rows_are_further_apart_than_the_words_of_one() -> None:
    row = Row("pi4", "Temperature", "33.5", DEGREES, "high")
    frame = layout.compose(64, "HARVESTER OS", [row] * 3)
    # The rows of pixels without any light, from the line below the title on.
    dark = [
        y for y in range(9, 64) if not any(frame[y // 8 * 128 + x] >> y % 8 & 1 for x in range(70))
    ]
    assert dark == [9, 10, 18, 26, 27, 28, 36, 44, 45, 46, 54, 62, 63]


@pytest.mark.parametrize("height", [32, 64])
@pytest.mark.parametrize("text", ["", "x" * 300, "\N{SNOWMAN}"])
def test_no_text_is_too_long(height: int, text: str) -> None:
    assert len(layout.compose(height, text, [Row(text, text, text, text)])) == 16 * height
