"""Framer: splits a byte stream into packets. Type, flags and length are checked before the body."""

from broker.embedded.packets.model import (
    Packet,
    PacketType,
    ReasonCode,
    TooLargeError,
    ViolationError,
)

# Section 2.2.3: four bytes of seven bits.
_MAX_LENGTH_BYTES = 4
# Section 2.2.2: the flags of every packet that a client may send, PUBLISH aside.
_FLAGS = {
    PacketType.CONNECT: 0,
    PacketType.PUBACK: 0,
    PacketType.PUBREC: 0,
    PacketType.PUBREL: 2,
    PacketType.PUBCOMP: 0,
    PacketType.SUBSCRIBE: 2,
    PacketType.UNSUBSCRIBE: 2,
    PacketType.PINGREQ: 0,
    PacketType.DISCONNECT: 0,
}
_ALLOWED = frozenset(
    [kind << 4 | flags for kind, flags in _FLAGS.items()]
    + [PacketType.PUBLISH << 4 | flags for flags in range(16)]
)
# Answers of a broker, whose flags are checked before a client is told that it may not send them.
_ANSWERS = (PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP)
# In MQTT 3.1, these are sent again with DUP.
_REPEATED = (PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE)
_ALLOWED_3_1 = _ALLOWED | {kind << 4 | 0x0A for kind in _REPEATED}
# By first byte.
_IS_ALLOWED = tuple(byte in _ALLOWED for byte in range(256))
_IS_ALLOWED_3_1 = tuple(byte in _ALLOWED_3_1 for byte in range(256))


class Framer:
    """Holds what has come of packets that were not taken yet."""

    __slots__ = ("_at", "_data", "_is_5", "_is_allowed", "_max_packet_bytes", "_size", "_start")

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._is_allowed = _IS_ALLOWED
        self._is_5 = False
        self._data = b""
        self._at = 0
        # The start of a packet whose other bytes are to come, and its size if that is known.
        self._start = bytearray()
        self._size = 0

    def allow(self, max_packet_bytes: int, *, is_3_1: bool = False, is_5: bool = False) -> None:
        """Change the limit for the packets to come, and judge them by the client's version.

        Those of MQTT 3.1 may have DUP; a length in MQTT 5 has as few bytes as it needs.
        """
        self._max_packet_bytes = max_packet_bytes
        self._is_5 = is_5
        if is_3_1:
            self._is_allowed = _IS_ALLOWED_3_1

    def feed(self, data: bytes) -> None:
        if self._start:
            self._start += data
            if len(self._start) < self._size:
                return
            data = bytes(self._start)
            self._start = bytearray()
        elif self._at < len(self._data):
            data = self._data[self._at :] + data
        self._data = data
        self._at = 0

    def next(self) -> Packet | None:
        """Return the next whole packet; None where more bytes are needed. Raises ViolationError."""
        data, at = self._data, self._at
        if at >= len(data):
            return None
        first_byte = data[at]
        if not self._is_allowed[first_byte]:
            # Raises where the length is none, either.
            self._length(data, at + 1)
            raise _first_byte_error(first_byte)
        length, start = self._length(data, at + 1)
        end = start + length
        if not start or end > len(data):
            self._keep_start(end - at)
            return None
        self._at = end
        return Packet(first_byte >> 4, first_byte, data[start:end])

    def clear(self) -> None:
        """Forget what was not taken."""
        self._data = b""
        self._start = bytearray()

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Return the remaining length and the body's offset; 0, 0 where bytes are missing."""
        length = shift = 0
        for byte in data[at : at + _MAX_LENGTH_BYTES]:
            length |= (byte & 0x7F) << shift
            shift += 7
            # With the type and the length itself (MQTT 5, section 3.1.2.11.4).
            if length + shift // 7 >= self._max_packet_bytes:
                raise self._too_large(length + 1 + shift // 7)
            if byte < 0x80:
                if not byte and shift > 7 and self._is_5:
                    raise ViolationError("a length of more bytes than it needs (MQTT-1.5.5-1)")
                return length, at + shift // 7
        if shift == 7 * _MAX_LENGTH_BYTES:
            # Whatever follows is no packet of MQTT, so neither is an answer.
            raise ViolationError("a length of more than four bytes", None)
        return 0, 0

    def _too_large(self, size: int) -> TooLargeError:
        return TooLargeError(
            f"a packet of {size} bytes, at most {self._max_packet_bytes}",
            ReasonCode.PACKET_TOO_LARGE,
        )

    def _keep_start(self, size: int) -> None:
        self._start += memoryview(self._data)[self._at :]
        self._size = size
        self._data = b""
        self._at = 0


def _first_byte_error(first_byte: int) -> ViolationError:
    kind, flags = first_byte >> 4, first_byte & 0x0F
    if kind not in set(_FLAGS) and not (flags and kind in _ANSWERS):
        text = f"packet type {kind}, which a client may not send"
        return ViolationError(text, ReasonCode.PROTOCOL_ERROR)
    return ViolationError(f"flags {flags:#x} of a {PacketType(kind).name} (MQTT-2.2.2-2)")
