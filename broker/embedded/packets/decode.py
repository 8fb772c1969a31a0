"""Decoder of the MQTT 3.1.1 packets that clients send; strict.

Pure: it knows no socket, no session and no rule about topics. Clauses are those of the OASIS
standard of 29 October 2014.
"""

import enum
import struct

import msgspec

from bus.errors import BadDataError

_UINT16 = struct.Struct("!H")
# Section 2.2.3: four bytes of seven bits.
MAX_LENGTH_BYTES = 4


class ViolationError(BadDataError):
    """A violation of the protocol, which ends the client's connection."""


class UnsupportedVersionError(ViolationError):
    """A CONNECT of another version of MQTT (MQTT-3.1.2-2)."""


class PacketType(enum.IntEnum):
    """The packet types, section 2.2.1."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


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


class Will(msgspec.Struct, frozen=True):
    """The last will in a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNECT. `keep_alive_s` 0: none. `repr` omits the password."""

    client_id: str
    clean_session: bool
    keep_alive_s: int
    will: Will | None
    username: str | None
    password: bytes | None

    def __repr__(self) -> str:
        return f"Connect({self.client_id!r}, {self.username!r})"


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH. `packet_id` 0: QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int


class Subscribe(msgspec.Struct, frozen=True):
    """A SUBSCRIBE: topic filters with the requested QoS."""

    packet_id: int
    filters: list[tuple[str, int]]


class Unsubscribe(msgspec.Struct, frozen=True):
    """An UNSUBSCRIBE: topic filters."""

    packet_id: int
    filters: list[str]


def packet_type(first_byte: int) -> PacketType:
    """Return the type in a packet's first byte. Raises ViolationError, also for wrong flags."""
    kind, flags = first_byte >> 4, first_byte & 0x0F
    if kind == PacketType.PUBLISH:
        return PacketType.PUBLISH
    expected = _FLAGS.get(kind)  # type: ignore[call-overload] # an IntEnum is hashed as its number
    if expected is None:
        raise ViolationError(f"packet type {kind}, which a client may not send")
    if flags != expected:
        raise ViolationError(f"flags {flags:#x} of a {PacketType(kind).name} (MQTT-2.2.2-2)")
    return PacketType(kind)


class _Body:
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
        return int(_UINT16.unpack(self.take(2))[0])

    def packet_id(self) -> int:
        found = self.uint16()
        if not found:
            raise ViolationError("packet identifier 0 (MQTT-2.3.1-1)")
        return found

    def binary(self) -> bytes:
        return self.take(self.uint16())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as e:
            raise ViolationError("a string that is not UTF-8 (MQTT-1.5.3-1)") from e
        if "\0" in text:
            raise ViolationError("a string with U+0000 (MQTT-1.5.3-2)")
        return text

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        if not self.is_at_end:
            raise ViolationError("a packet with more than its fields")


def parse_publish(first_byte: int, data: bytes) -> Publish:
    """Decode a PUBLISH, whose flags are in the first byte. Raises ViolationError."""
    body = _Body(data)
    qos = first_byte >> 1 & 3
    if qos == 3:
        raise ViolationError("a PUBLISH at QoS 3 (MQTT-3.3.1-4)")
    if not qos and first_byte & 8:
        raise ViolationError("a PUBLISH at QoS 0 with DUP (MQTT-3.3.1-2)")
    topic = body.text()
    packet_id = body.packet_id() if qos else 0
    return Publish(topic, body.rest(), qos, bool(first_byte & 1), packet_id)


def parse_packet_id(data: bytes) -> int:
    """Return the packet id that PUBACK, PUBREC, PUBREL and PUBCOMP consist of."""
    body = _Body(data)
    packet_id = body.packet_id()
    body.end()
    return packet_id


def parse_subscribe(data: bytes) -> Subscribe:
    """Decode a SUBSCRIBE. Raises ViolationError."""
    body = _Body(data)
    packet_id = body.packet_id()
    filters = []
    while not body.is_at_end:
        text, qos = body.text(), body.byte()
        if qos > 2:
            raise ViolationError(f"a SUBSCRIBE with QoS byte {qos:#x} (MQTT-3-8.3-4)")
        filters.append((text, qos))
    if not filters:
        raise ViolationError("a SUBSCRIBE without a filter (MQTT-3.8.3-3)")
    return Subscribe(packet_id, filters)


def parse_unsubscribe(data: bytes) -> Unsubscribe:
    """Decode an UNSUBSCRIBE. Raises ViolationError."""
    body = _Body(data)
    packet_id = body.packet_id()
    filters = []
    while not body.is_at_end:
        filters.append(body.text())
    if not filters:
        raise ViolationError("an UNSUBSCRIBE without a filter (MQTT-3.10.3-2)")
    return Unsubscribe(packet_id, filters)


def parse_empty(data: bytes) -> None:
    """Check that a PINGREQ or DISCONNECT has no body."""
    _Body(data).end()


def parse_connect(data: bytes) -> Connect:
    """Decode a CONNECT. Raises ViolationError; UnsupportedVersionError for other versions."""
    body = _Body(data)
    name, level = body.binary(), body.byte()
    if name not in {b"MQTT", b"MQIsdp"}:
        raise ViolationError("a CONNECT of another protocol (MQTT-3.1.2-1)")
    if (name, level) != (b"MQTT", 4):
        raise UnsupportedVersionError(f"MQTT protocol level {level}, expected 4")
    flags, keep_alive_s = body.byte(), body.uint16()
    _check_connect_flags(flags)
    client_id = body.text()
    will = _parse_will(body, flags) if flags & 0x04 else None
    username = body.text() if flags & 0x80 else None
    password = body.binary() if flags & 0x40 else None
    body.end()
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 0x02),
        keep_alive_s=keep_alive_s,
        will=will,
        username=username,
        password=password,
    )


def _check_connect_flags(flags: int) -> None:
    if flags & 0x01:
        raise ViolationError("a CONNECT with the reserved flag (MQTT-3.1.2-3)")
    if not flags & 0x04 and flags & 0x38:
        raise ViolationError("a CONNECT with will flags and no will (MQTT-3.1.2-13)")
    if flags & 0x18 == 0x18:
        raise ViolationError("a will at QoS 3 (MQTT-3.1.2-14)")
    if flags & 0x40 and not flags & 0x80:
        raise ViolationError("a password without a user name (MQTT-3.1.2-22)")


def _parse_will(body: _Body, flags: int) -> Will:
    return Will(body.text(), body.binary(), flags >> 3 & 3, bool(flags & 0x20))
