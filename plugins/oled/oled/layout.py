"""Layout of a screen: title and rows of small words with a large value, or four rows of text.

Pure: rows in, a frame out. What does not fit is abbreviated at a whole character.
"""

from collections.abc import Sequence
from typing import NamedTuple

from oled.font import ADVANCE, COLUMNS, GLYPH_HEIGHT, draw, draw_line, drawable, width

_TALL = 64
_LINE_ROW = 8
_TITLE_HEIGHT = 11
# Without a title, four rows.
_ROW_HEIGHT = 16
# Below a title three rows, with more room between two of them than between the words of one.
_ROW_HEIGHT_BELOW_TITLE = 18
_SMALL_ROW_HEIGHT = 8
_VALUE_SCALE = 2
# A value with its unit may be so wide; seven characters of a label stay readable beside it.
_MOST_VALUE_WIDTH = 84
_GAP = 3
# Characters, with the full stop; shorter ones are cut off without it.
_LEAST_ABBREVIATED = 4


class Row(NamedTuple):
    """One value: where it comes from, what it is, the value with its unit, and the word for it."""

    source: str
    label: str
    value: str
    unit: str = ""
    word: str = ""


def slots(height: int, title: str) -> int:
    """Return how many rows a screen has room for."""
    if height < _TALL:
        return height // _SMALL_ROW_HEIGHT
    return 3 if title else height // _ROW_HEIGHT


def compose(height: int, title: str, rows: Sequence[Row]) -> bytes:
    """Return a frame with as many of `rows` as it has room for; low panels have no title."""
    frame = bytearray(COLUMNS * height // 8)
    fitting = rows[: slots(height, title)]
    if height < _TALL:
        for index, row in enumerate(fitting):
            _draw_small_row(frame, index * _SMALL_ROW_HEIGHT, row)
        return bytes(frame)
    top = _draw_title(frame, drawable(title)) if title else 0
    row_height = _ROW_HEIGHT_BELOW_TITLE if title else _ROW_HEIGHT
    for index, row in enumerate(fitting):
        _draw_row(frame, top + index * row_height, row)
    return bytes(frame)


def _draw_title(frame: bytearray, title: str) -> int:
    """Draw the title; return the row below it."""
    text = _fitting(title, COLUMNS)
    draw(frame, (COLUMNS - width(text)) // 2, 0, text)
    draw_line(frame, _LINE_ROW)
    return _TITLE_HEIGHT


def _draw_row(frame: bytearray, top: int, row: Row) -> None:
    value, unit = drawable(row.value), drawable(row.unit)
    unit_width = width(unit) + _GAP if unit else 0
    is_large = width(value, _VALUE_SCALE) + unit_width <= _MOST_VALUE_WIDTH
    scale = _VALUE_SCALE if is_large else 1
    value = _fitting(value, COLUMNS - unit_width)
    left = COLUMNS - unit_width - width(value, scale)
    bottom = top + GLYPH_HEIGHT * _VALUE_SCALE
    draw(frame, left, bottom - GLYPH_HEIGHT * scale, value, scale)
    draw(frame, COLUMNS - width(unit), bottom - GLYPH_HEIGHT, unit)
    room = left - _GAP
    draw(frame, 0, top, _heading(row, room if is_large else COLUMNS))
    draw(frame, 0, top + GLYPH_HEIGHT + 1, _fitting(drawable(row.label), room))


def _heading(row: Row, room: int) -> str:
    """Return where a value comes from, with the word for it where there is room."""
    both = drawable(f"{row.source} {row.word}".strip())
    return both if width(both) <= room else _fitting(drawable(row.source), room)


def _draw_small_row(frame: bytearray, top: int, row: Row) -> None:
    gap = " " if row.unit[:1].isalpha() else ""
    value = _fitting(drawable(row.value + gap + row.unit), COLUMNS)
    left = COLUMNS - width(value)
    draw(frame, left, top, value)
    draw(frame, 0, top, _fitting(drawable(row.label), left - _GAP))


def _fitting(text: str, room: int) -> str:
    """Return as much of a text as fits; what was cut off ends with a full stop.

    >>> _fitting("Temperature", 60)
    'Temperatu.'
    """
    most = max(0, (room + 1) // ADVANCE)
    if len(text) <= most:
        return text
    return text[: most - 1].rstrip() + "." if most >= _LEAST_ABBREVIATED else text[:most]
