"""Font, and a screen laid out in it."""

from itertools import combinations

import pytest

from plugins.oled.font import COLUMNS, GLYPHS, ROWS, compose, draw, pixels, width

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


def art(frame: bytes | bytearray, columns: int, rows: int) -> list[str]:
    return [
        "".join("#" if frame[y // 8 * COLUMNS + x] >> y % 8 & 1 else "." for x in range(columns))
        for y in range(rows)
    ]


def test_all_of_printable_ascii_and_the_degree_sign_have_a_glyph() -> None:
    assert set(GLYPHS) == {*PRINTABLE, "\N{DEGREE SIGN}"}


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


def test_the_screen_has_the_title_in_the_middle_and_values_at_the_right() -> None:
    frame = compose("HI", [("A", "1"), ("B", "2"), ("C", "3")])
    expected = bytearray(COLUMNS * ROWS // 8)
    draw(expected, 58, 0, "HI")
    for index, (label, value) in enumerate([("A", "1"), ("B", "2"), ("C", "3")]):
        draw(expected, 0, 23 + 16 * index, label)
        draw(expected, 118, 16 + 16 * index, value, scale=2)
    for column in range(COLUMNS):
        expected[COLUMNS + column] |= 1 << 3
    assert frame == bytes(expected)


def test_the_widest_values_leave_their_labels_readable() -> None:
    assert width("HUB CPU") < COLUMNS - width("-12.5\N{DEGREE SIGN}C", scale=2)
    assert width("IAQ") < COLUMNS - width("burn-in", scale=2)
