"""Icons of the page as PNG, drawn like favicon.svg: `python -m tests.hub_app.page.icons`.

Browsers that install a page want PNGs of certain sizes.
"""

import math
import struct
import zlib
from pathlib import Path

from hub_app.http.responses import PAGE_DIR

# Coordinates of the 32 by 32 view box of favicon.svg.
_VIEW = 32
_CORNER = 7
_STROKE = 3
_LINES = (((6, 11), (11, 16)), ((11, 16), (6, 21)), ((15, 22), (26, 22)))
_GROUND = (0x0B, 0x10, 0x0D)
_GREEN = (0x5E, 0xE2, 0x8A)
# An operating system cuts a maskable icon; only the middle 80 % is certain to stay.
_SAFE = 0.7

Point = tuple[float, float]


def pixels(size: int, *, is_maskable: bool = False) -> bytes:
    """Return the rows of an icon as a PNG has them, each after the filter type 0."""
    return b"".join(
        b"\0" + b"".join(_pixel(x, y, size, is_maskable=is_maskable) for x in range(size))
        for y in range(size)
    )


def _png(size: int, *, is_maskable: bool = False) -> bytes:
    rows = pixels(size, is_maskable=is_maskable)
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _pixel(x: int, y: int, size: int, *, is_maskable: bool) -> bytes:
    """Return red, green, blue and alpha; edges are smooth over one pixel."""
    pixel = _VIEW / size
    at = ((x + 0.5) * pixel, (y + 0.5) * pixel)
    if is_maskable:
        at = (_from_middle(at[0]), _from_middle(at[1]))
    line = _covered(min(_distance(at, *ends) for ends in _LINES) - _STROKE / 2, pixel)
    alpha = 1.0 if is_maskable else _covered(_outside(at), pixel)
    color = (round(low + (high - low) * line) for low, high in zip(_GROUND, _GREEN, strict=True))
    return bytes((*color, round(255 * alpha)))


def _from_middle(coordinate: float) -> float:
    return (coordinate - _VIEW / 2) / _SAFE + _VIEW / 2


def _covered(distance: float, pixel: float) -> float:
    """Return how much of a pixel is inside, from its middle's distance to the edge."""
    return min(1.0, max(0.0, 0.5 - distance / pixel))


def _distance(at: Point, start: Point, end: Point) -> float:
    """Return the distance of a point from a line with round ends."""
    along = (end[0] - start[0], end[1] - start[1])
    dot = (at[0] - start[0]) * along[0] + (at[1] - start[1]) * along[1]
    part = min(1.0, max(0.0, dot / (along[0] ** 2 + along[1] ** 2)))
    return math.dist(at, (start[0] + part * along[0], start[1] + part * along[1]))


def _outside(at: Point) -> float:
    """Return the distance of a point from the rounded square, negative inside."""
    x, y = (abs(coordinate - _VIEW / 2) - (_VIEW / 2 - _CORNER) for coordinate in at)
    return math.hypot(max(x, 0.0), max(y, 0.0)) + min(max(x, y), 0.0) - _CORNER


def main() -> None:
    folder = Path(PAGE_DIR / "frame" / "icons")
    folder.mkdir(exist_ok=True)
    (folder / "icon-192.png").write_bytes(_png(192))
    (folder / "icon-512.png").write_bytes(_png(512))
    (folder / "maskable-512.png").write_bytes(_png(512, is_maskable=True))


if __name__ == "__main__":
    main()
