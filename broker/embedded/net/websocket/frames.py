"""WebSocket frames (RFC 6455 section 5): a decoder of what a client sends, and an encoder.

The payload of a data frame is returned piece by piece as it comes, so that a frame of any length
takes no memory. MQTT packets may begin and end anywhere in them (MQTT-6.0.0-2).
"""

import enum
import struct
from collections.abc import Iterator

from broker.embedded.packets.model import ViolationError

# Section 5.5.
MAX_CONTROL_BYTES = 125
_FINAL = 0x80
_RESERVED = 0x70
_MASKED = 0x80
_LENGTH_16 = 126
_LENGTH_64 = 127
_MORE_LENGTH_BYTES = {_LENGTH_16: 2, _LENGTH_64: 8}
_MASK_BYTES = 4


class Opcode(enum.IntEnum):
    """Type of a frame."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = {int(opcode): opcode for opcode in Opcode}


class CloseCode(enum.IntEnum):
    """Status in a close frame (section 7.4.1)."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007


# Section 7.4: what a client may send.
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011})
_PRIVATE_CLOSE_CODES = range(3000, 5000)


class FrameError(ViolationError):
    """A frame that ends the connection with the close code `code`."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class FrameDecoder:
    """Decodes the frames of a client, which are masked."""

    def __init__(self) -> None:
        # The start of a header whose other bytes are to come.
        self._start = b""
        self._opcode: Opcode | None = None
        self._missing_bytes = 0
        self._mask = b""
        self._control = b""
        # A data frame that was not the last one of its message.
        self._is_fragmented = False

    def feed(self, data: bytes) -> Iterator[tuple[Opcode, bytes]]:
        """Yield the pieces of data, as BINARY, and whole control frames. Raises FrameError."""
        data, self._start = self._start + data, b""
        at = 0
        while True:
            if self._opcode is None:
                at = self._read_header(data, at)
            opcode = self._opcode
            if opcode is None:
                self._start = data[at:]
                return
            piece = self._unmask(data[at : at + self._missing_bytes])
            at += len(piece)
            self._missing_bytes -= len(piece)
            if opcode >= Opcode.CLOSE:
                self._control += piece
                piece = b""
            if not self._missing_bytes:
                self._opcode = None
                piece, self._control = piece or self._control, b""
            if piece or (opcode >= Opcode.CLOSE and self._opcode is None):
                yield opcode, piece
            if self._opcode is not None:
                return

    def _read_header(self, data: bytes, at: int) -> int:
        """Return the offset of the payload; `at` where bytes of the header are missing."""
        if len(data) - at < 2:
            return at
        first, second = data[at], data[at + 1]
        opcode = self._checked_opcode(first)
        if not second & _MASKED:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a frame without a mask (section 5.1)")
        length, end = second & ~_MASKED, at + 2
        if opcode >= Opcode.CLOSE and (length > MAX_CONTROL_BYTES or not first & _FINAL):
            text = "a control frame that is fragmented or too long (section 5.5)"
            raise FrameError(CloseCode.PROTOCOL_ERROR, text)
        more = _MORE_LENGTH_BYTES.get(length, 0)
        if len(data) - end < more + _MASK_BYTES:
            return at
        if more:
            length = int.from_bytes(data[end : end + more], "big")
            end += more
        if length >= 1 << 63:
            raise FrameError(CloseCode.PROTOCOL_ERROR, "a length of 64 bits (section 5.2)")
        if opcode < Opcode.CLOSE:
            self._is_fragmented = not first & _FINAL
            opcode = Opcode.BINARY
        self._opcode, self._missing_bytes = opcode, length
        self._mask = data[end : end + _MASK_BYTES]
        return end + _MASK_BYTES

    def _checked_opcode(self, first: int) -> Opcode:
        opcode = _OPCODES.get(first & 0x0F)
        if first & _RESERVED or opcode is None:
            text = f"a frame that begins with {first:#04x} (section 5.2)"
            raise FrameError(CloseCode.PROTOCOL_ERROR, text)
        if opcode is Opcode.TEXT:
            raise FrameError(CloseCode.UNSUPPORTED_DATA, "a text frame (MQTT-6.0.0-1)")
        is_data = opcode < Opcode.CLOSE
        if is_data and (opcode is Opcode.CONTINUATION) != self._is_fragmented:
            text = f"a frame {opcode.name} in the wrong place (section 5.4)"
            raise FrameError(CloseCode.PROTOCOL_ERROR, text)
        return opcode

    def _unmask(self, piece: bytes) -> bytes:
        """Return the piece in clear, and turn the mask to the next one."""
        length = len(piece)
        key = int.from_bytes((self._mask * (length // _MASK_BYTES + 1))[:length], "little")
        turn = length % _MASK_BYTES
        self._mask = self._mask[turn:] + self._mask[:turn]
        return (int.from_bytes(piece, "little") ^ key).to_bytes(length, "little")


def encode(opcode: Opcode, payload: bytes) -> bytes:
    """Return one whole frame of a server, which is not masked."""
    length = len(payload)
    first = _FINAL | opcode
    if length < _LENGTH_16:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return struct.pack(">BBH", first, _LENGTH_16, length) + payload
    return struct.pack(">BBQ", first, _LENGTH_64, length) + payload


def close_frame(code: int | None) -> bytes:
    """Return a close frame; None: without a code."""
    return encode(Opcode.CLOSE, b"" if code is None else struct.pack(">H", code))


def close_code(payload: bytes) -> int | None:
    """Return the code in a client's close frame; None where it has none. Raises FrameError."""
    if not payload:
        return None
    code = int.from_bytes(payload[:2], "big")
    is_known = code in _CLOSE_CODES or code in _PRIVATE_CLOSE_CODES
    if len(payload) < 2 or not is_known:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "an invalid code in a close frame (7.4)")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as e:
        raise FrameError(CloseCode.INVALID_DATA, "a close reason that is not UTF-8 (8.1)") from e
    return code
