import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from node_agent.hal.simulated import png


def decode(data: bytes) -> list[list[bool]]:
    """Read back what one-bit greyscale PNG says, as rows of pixels."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        (crc,) = struct.unpack_from(">I", data, position + 8 + size)
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [1, 0, 0, 0, 0]
    lines, stride = zlib.decompress(chunks[b"IDAT"]), 1 + (width + 7) // 8
    assert len(lines) == stride * height
    return [
        [bool(lines[y * stride + 1 + x // 8] & 0x80 >> x % 8) for x in range(width)]
        for y in range(height)
    ]


@given(
    st.integers(1, 20).flatmap(
        lambda width: st.lists(
            st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=8
        )
    ),
    st.integers(1, 3),
)
def test_a_png_holds_the_pixels_enlarged(rows: list[list[bool]], scale: int) -> None:
    enlarged = [[p for p in row for _ in range(scale)] for row in rows for _ in range(scale)]
    assert decode(png.encode(rows, scale)) == enlarged
