"""PNG decoder for one bit of grey, written from RFC 2083, independent of the hub's encoder."""

import struct
import zlib


def decode(data: bytes) -> list[list[bool]]:
    """Return the picture as rows of pixels, True where white."""
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
    assert not any(lines[::stride])  # every row unfiltered
    return [
        [bool(lines[y * stride + 1 + x // 8] & 0x80 >> x % 8) for x in range(width)]
        for y in range(height)
    ]
