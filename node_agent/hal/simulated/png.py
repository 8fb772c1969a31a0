"""Pixels to a PNG file's bytes (RFC 2083): one bit a pixel, and nothing else."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ONE_BIT_GREY = struct.pack(">BBBBB", 1, 0, 0, 0, 0)
_NO_FILTER = b"\0"


def encode(rows: Sequence[Sequence[bool]], scale: int = 1) -> bytes:
    """Return `rows`, all of one length, as a PNG: True white, each pixel `scale` pixels wide."""
    height, width = len(rows) * scale, len(rows[0]) * scale
    lines = (_packed(chain.from_iterable(repeat(pixel, scale) for pixel in row)) for row in rows)
    body = b"".join((_NO_FILTER + line) * scale for line in lines)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">II", width, height) + _ONE_BIT_GREY),
            _chunk(b"IDAT", zlib.compress(body, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _packed(pixels: Iterable[bool]) -> bytes:
    """Return pixels as bits, the first the highest, the last byte filled up with zeros."""
    bits = "".join("1" if pixel else "0" for pixel in pixels)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
