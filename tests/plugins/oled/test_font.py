"""Font of the display."""

from itertools import combinations

import pytest

from bus.contract.quantity import SENSOR_UNITS, units_of
from plugins.oled.oled.font import COLUMNS, GLYPHS, draw, drawable, pixels, width

ROWS = 64
SIGNS = {
    "\N{DEGREE SIGN}",
    "\N{GREEK SMALL LETTER MU}",
    "\N{GREEK CAPITAL LETTER OMEGA}",
}
PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


def art(frame: bytes | bytearray, columns: int, rows: int) -> list[str]:
    return [
        "".join("#" if frame[y // 8 * COLUMNS + x] >> y % 8 & 1 else "." for x in range(columns))
        for y in range(rows)
    ]


def test_all_of_printable_ascii_and_the_signs_of_units_have_a_glyph() -> None:
    assert set(GLYPHS) == SIGNS.union(PRINTABLE)


def test_every_glyph_is_seven_rows_of_five_pixels() -> None:
    for character, rows in GLYPHS.items():
        assert len(rows) == 7, character
        assert max(rows) < 32, character


def test_no_two_glyphs_look_alike() -> None:
    for (one, rows), (other, other_rows) in combinations(GLYPHS.items(), 2):
        assert rows != other_rows, (one, other)


def test_glyphs_are_strokes_and_not_blocks() -> None:
    for character in PRINTABLE[1:]:
        assert 2 <= len(pixels(character)) <= 22, character
    assert pixels(" ") == []


def test_an_unknown_character_is_a_question_mark() -> None:
    assert pixels("\N{SNOWMAN}") == pixels("?")


def test_text_is_set_upright_with_a_gap_of_one_pixel() -> None:
    frame = bytearray(COLUMNS * ROWS // 8)
    draw(frame, 0, 0, "Ag")
    assert art(frame, 12, 8) == [
        ".###........",
        "#...#..####.",
        "#...#.#...#.",
        "#####.#...#.",
        "#...#..####.",
        "#...#.....#.",
        "#...#..###..",
        "............",
    ]


def test_text_twice_as_large_has_four_pixels_for_one() -> None:
    frame = bytearray(COLUMNS * ROWS // 8)
    draw(frame, 0, 0, "-", scale=2)
    assert art(frame, 11, 9)[6:9] == ["##########.", "##########.", "..........."]


@pytest.mark.parametrize(("left", "top"), [(-3, 0), (126, 0), (0, -4), (0, 61), (-50, 200)])
def test_text_beyond_the_edge_is_cut_off(left: int, top: int) -> None:
    frame = bytearray(COLUMNS * ROWS // 8)
    draw(frame, left, top, "8")
    assert len(frame) == COLUMNS * ROWS // 8


def test_width_is_that_of_what_is_drawn() -> None:
    assert (width(""), width("A"), width("AB"), width("AB", scale=2)) == (0, 5, 11, 22)


def test_what_the_font_lacks_is_written_without_accent_or_superscript() -> None:
    assert drawable("K\N{LATIN SMALL LETTER U WITH DIAERESIS}che") == "Kuche"
    assert drawable("\N{MICRO SIGN}g/m\N{SUPERSCRIPT THREE}") == "\N{GREEK SMALL LETTER MU}g/m3"
    assert drawable("\N{OHM SIGN}") == "\N{GREEK CAPITAL LETTER OMEGA}"


# Home Assistant's, and ours.
def test_every_unit_of_a_quantity_can_be_written() -> None:
    units = {unit for quantity in SENSOR_UNITS for unit in units_of(quantity) or []}
    unknown = {c for unit in units for c in drawable(unit) if c not in GLYPHS}
    assert unknown == {"\N{DOT OPERATOR}"}
