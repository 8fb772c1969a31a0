"""`GET /api/nodes/{node}/oled.png`: the content of a node's display as a one-bit PNG (RFC 2083)."""

import struct
import zlib

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.http.responses import check_node, hub_of
from hub_app.live.views import oled_view

# PNG pixels per display pixel: 128 x 64 become 512 x 256.
_SCALE = 4
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Bit depth 1, greyscale, deflate, adaptive filtering, not interlaced.
_ONE_BIT_GREY = struct.pack(">BBBBB", 1, 0, 0, 0, 0)
_NO_FILTER = b"\0"


async def oled(request: Request) -> Response:
    state, node = hub_of(request).state, request.path_params["node"]
    check_node(state, node)
    shown = state.picture(node)
    if shown is None:
        raise HTTPException(404, f"{node} has no display, or has not told what it shows")
    etag = f'"{oled_view(shown).digest}"'
    headers = {"Cache-Control": "no-store", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    picture = encode_png(shown.width, shown.frame, _SCALE)
    return Response(picture, headers=headers, media_type="image/png")


def encode_png(width: int, frame: bytes, scale: int = 1) -> bytes:
    """Return the PNG of a frame, packed as in `bus.contract.messages.Oled`, enlarged by `scale`."""
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
