"""Fields of packets: numbers, strings and lengths, sections 1.5 and 2.2.3."""

import struct
from collections.abc import Sized

from broker.embedded.packets.model import ReasonCode, ViolationError

# Twice what a client may subscribe to by default. They take 10 ms to decode, in one step.
MAX_FILTERS = 10_000
UINT16 = struct.Struct("!H")
UINT32 = struct.Struct("!I")


class Body:
    """Reader of a packet's body. Every method raises ViolationError past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ViolationError("a packet that ends within a field")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def uint16(self) -> int:
        return int(UINT16.unpack(self.take(2))[0])

    def uint32(self) -> int:
        return int(UINT32.unpack(self.take(4))[0])

    def length(self) -> int:
        """Return a number of up to four bytes of seven bits (MQTT 5, section 1.5.5)."""
        found = 0
        for place in range(4):
            byte = self.byte()
            found |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if place and not byte:
                    raise ViolationError("a length of more bytes than it needs (MQTT-1.5.5-1)")
                return found
        raise ViolationError("a length of more than four bytes")

    def packet_id(self, reason: ReasonCode = ReasonCode.PROTOCOL_ERROR) -> int:
        """Return a packet identifier; `reason` is what the client of one of 0 is told."""
        found = self.uint16()
        if not found:
            raise packet_id_error(reason)
        return found

    def binary(self) -> bytes:
        return self.take(self.uint16())

    def text(self) -> str:
        return decode_text(self.binary())

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if not self.is_at_end:
            raise ViolationError("a packet with more than its fields")


def packet_id_error(reason: ReasonCode = ReasonCode.PROTOCOL_ERROR) -> ViolationError:
    """Return the error of a packet identifier of 0."""
    return ViolationError("packet identifier 0 (MQTT-2.3.1-1)", reason)


def publish_qos(first_byte: int) -> int:
    """Return the QoS in the first byte of a PUBLISH. Raises ViolationError."""
    qos = first_byte >> 1 & 3
    if qos == 3:
        raise ViolationError("a PUBLISH at QoS 3 (MQTT-3.3.1-4)")
    if not qos and first_byte & 8:
        raise ViolationError("a PUBLISH at QoS 0 with DUP (MQTT-3.3.1-2)")
    return qos


def decode_text(data: bytes) -> str:
    """Decode a string. Raises ViolationError."""
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise ViolationError("a string that is not UTF-8 (MQTT-1.5.3-1)") from e
    if "\0" in text:
        raise ViolationError("a string with U+0000 (MQTT-1.5.3-2)")
    return text


def encode_text(text: str) -> bytes:
    encoded = text.encode()
    return UINT16.pack(len(encoded)) + encoded


def encode_length(count: int) -> bytes:
    """Encode a remaining length, section 2.2.3."""
    if count < 128:
        return _SHORT_LENGTHS[count]
    encoded = bytearray()
    while True:
        count, low = divmod(count, 128)
        encoded.append(low | (128 if count else 0))
        if not count:
            return bytes(encoded)


_SHORT_LENGTHS = tuple(bytes((count,)) for count in range(128))


def check_count(filters: Sized) -> None:
    """Raise ViolationError where a SUBSCRIBE or UNSUBSCRIBE has too many filters."""
    if len(filters) > MAX_FILTERS:
        raise ViolationError(
            f"more than {MAX_FILTERS} filters in a packet", ReasonCode.QUOTA_EXCEEDED
        )
