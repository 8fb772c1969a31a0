"""Pixels to a PNG file's bytes (RFC 2083): one bit a pixel, and nothing else."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ONE_BIT_GREY = struct.pack(">BBBBB", 1, 0, 0, 0, 0)
_NO_FILTER = b"\0"


def encode(width: int, frame: bytes, scale: int = 1) -> bytes:
    """Return a frame, packed as `bus.contract.messages.Oled` says, with pixels of `scale` dots."""
    stride = width // 8
    rows = [_enlarged(frame[at : at + stride], scale) for at in range(0, len(frame), stride)]
    body = b"".join((_NO_FILTER + row) * scale for row in rows)
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">II", width * scale, len(rows) * scale) + _ONE_BIT_GREY),
            _chunk(b"IDAT", zlib.compress(body, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _enlarged(row: bytes, scale: int) -> bytes:
    bits = "".join(f"{byte:08b}" for byte in row)
    return int("".join(bit * scale for bit in bits), 2).to_bytes(len(row) * scale, "big")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
