"""Properties of MQTT 5 packets, decoded and encoded (section 2.2.2 of the standard).

Each kind of packet allows some of them, each at most once but for user properties and, in a PUBLISH
of the broker, subscription identifiers.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broker.embedded.packets.fields import UINT16, UINT32, Body, encode_length, encode_text
from broker.embedded.packets.model import NO_PROPERTIES, Properties, ReasonCode, ViolationError
from broker.embedded.topics.names import valid_topic

PropertyValue = int | str | bytes


class Owner(enum.Enum):
    """Packets, and the last will in a CONNECT, that have properties of their own."""

    CONNECT = enum.auto()
    CONNACK = enum.auto()
    PUBLISH = enum.auto()
    WILL = enum.auto()
    # PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
    ANSWER = enum.auto()
    SUBSCRIBE = enum.auto()
    UNSUBSCRIBE = enum.auto()
    DISCONNECT = enum.auto()


class _Type(enum.Enum):
    BYTE = enum.auto()
    UINT16 = enum.auto()
    UINT32 = enum.auto()
    LENGTH = enum.auto()
    TEXT = enum.auto()
    BINARY = enum.auto()
    PAIR = enum.auto()


class _Kind(msgspec.Struct, frozen=True):
    name: str
    type: _Type
    owners: frozenset[Owner]
    # The greatest value of a number, and whether it may be 0.
    most: int = 0xFFFFFFFF
    may_be_0: bool = True

    @property
    def is_length(self) -> bool:
        return self.type is _Type.LENGTH


_MESSAGE = (Owner.PUBLISH, Owner.WILL)


def _kind(
    name: str, kind: _Type, *owners: Owner, most: int = 0xFFFFFFFF, may_be_0: bool = True
) -> _Kind:
    return _Kind(name, kind, frozenset(owners), most, may_be_0)


# Table 2-4.
_KINDS: Mapping[int, _Kind] = {
    0x01: _kind("payload_format", _Type.BYTE, *_MESSAGE, most=1),
    0x02: _kind("message_expiry_s", _Type.UINT32, *_MESSAGE),
    0x03: _kind("content_type", _Type.TEXT, *_MESSAGE),
    0x08: _kind("response_topic", _Type.TEXT, *_MESSAGE),
    0x09: _kind("correlation_data", _Type.BINARY, *_MESSAGE),
    0x0B: _kind(
        *("subscription_ids", _Type.LENGTH, Owner.PUBLISH, Owner.SUBSCRIBE), may_be_0=False
    ),
    0x11: _kind("session_expiry_s", _Type.UINT32, Owner.CONNECT, Owner.CONNACK, Owner.DISCONNECT),
    0x12: _kind("assigned_client_id", _Type.TEXT, Owner.CONNACK),
    0x13: _kind("server_keep_alive_s", _Type.UINT16, Owner.CONNACK),
    0x15: _kind("authentication_method", _Type.TEXT, Owner.CONNECT, Owner.CONNACK),
    0x16: _kind("authentication_data", _Type.BINARY, Owner.CONNECT, Owner.CONNACK),
    0x17: _kind("request_problem", _Type.BYTE, Owner.CONNECT, most=1),
    0x18: _kind("will_delay_s", _Type.UINT32, Owner.WILL),
    0x19: _kind("request_response", _Type.BYTE, Owner.CONNECT, most=1),
    0x1A: _kind("response_information", _Type.TEXT, Owner.CONNACK),
    0x1C: _kind("server_reference", _Type.TEXT, Owner.CONNACK, Owner.DISCONNECT),
    0x1F: _kind("reason", _Type.TEXT, Owner.CONNACK, Owner.ANSWER, Owner.DISCONNECT),
    0x21: _kind("receive_maximum", _Type.UINT16, Owner.CONNECT, Owner.CONNACK, may_be_0=False),
    0x22: _kind("topic_alias_maximum", _Type.UINT16, Owner.CONNECT, Owner.CONNACK),
    0x23: _kind("topic_alias", _Type.UINT16, Owner.PUBLISH),
    0x24: _kind("maximum_qos", _Type.BYTE, Owner.CONNACK, most=1),
    0x25: _kind("retain_available", _Type.BYTE, Owner.CONNACK, most=1),
    0x26: _kind("user", _Type.PAIR, *Owner),
    0x27: _kind("maximum_packet_bytes", _Type.UINT32, Owner.CONNECT, Owner.CONNACK, may_be_0=False),
    0x28: _kind("wildcard_available", _Type.BYTE, Owner.CONNACK, most=1),
    0x29: _kind("subscription_ids_available", _Type.BYTE, Owner.CONNACK, most=1),
    0x2A: _kind("shared_available", _Type.BYTE, Owner.CONNACK, most=1),
}
_OF_MESSAGES = {number: kind for number, kind in _KINDS.items() if Owner.PUBLISH in kind.owners}
_SEVERAL = frozenset({"user", "subscription_ids"})
# A packet of 256 KB has room for 50,000, which take 0.3 s to decode and 0.1 s for each receiver.
MAX_USER_PROPERTIES = 1_000


def read_properties(body: Body, owner: Owner) -> Properties:
    """Decode the length of the properties and the properties. Raises ViolationError."""
    data = body.take(body.length())
    if not data:
        return NO_PROPERTIES
    inner = Body(data)
    single: dict[str, Any] = {}
    user: list[tuple[str, str]] = []
    ids: list[int] = []
    while not inner.is_at_end:
        kind = _read_kind(inner)
        if kind.type is _Type.PAIR:
            if len(user) == MAX_USER_PROPERTIES:
                text = f"more than {MAX_USER_PROPERTIES} user properties"
                raise ViolationError(text, ReasonCode.QUOTA_EXCEEDED)
            user.append((inner.text(), inner.text()))
            continue
        value = _read_value(inner, kind, owner)
        if owner not in kind.owners:
            raise ViolationError(
                f"the property {kind.name} in a packet of type {owner.name}", _foreign(owner)
            )
        if kind.name == "subscription_ids" and isinstance(value, int):
            ids.append(value)
            continue
        if kind.name in single:
            raise ViolationError(f"the property {kind.name} twice", ReasonCode.PROTOCOL_ERROR)
        single[kind.name] = value
    return Properties(**single, user=tuple(user), subscription_ids=tuple(ids))


def encode_properties(properties: Properties) -> bytes:
    """Encode the properties of a message for the store; nothing where there are none."""
    return b"" if properties is NO_PROPERTIES else write_properties(properties, Owner.PUBLISH)


def decode_properties(data: bytes) -> Properties:
    """Decode what `encode_properties` returned. Raises ViolationError."""
    return read_properties(Body(data), Owner.PUBLISH) if data else NO_PROPERTIES


def check_response_topic(properties: Properties) -> None:
    """Raise ViolationError where the response topic is no topic name (MQTT-3.3.2-14)."""
    topic = properties.response_topic
    if topic is not None and not valid_topic(topic):
        raise ViolationError("an invalid response topic", ReasonCode.PROTOCOL_ERROR)


def _read_kind(body: Body) -> _Kind:
    identifier = body.length()
    kind = _KINDS.get(identifier)
    if kind is None:
        raise ViolationError(f"property {identifier:#x}, which there is not")
    return kind


def _foreign(owner: Owner) -> ReasonCode:
    """Return the reason for a property of other packets; section 2.2.2.2 allows both."""
    is_request = owner in {Owner.SUBSCRIBE, Owner.UNSUBSCRIBE}
    return ReasonCode.MALFORMED_PACKET if is_request else ReasonCode.PROTOCOL_ERROR


def _read_value(body: Body, kind: _Kind, owner: Owner) -> PropertyValue:
    value = _READ[kind.type](body)
    if isinstance(value, int) and (value > kind.most or not (value or kind.may_be_0)):
        is_malformed = kind.is_length and owner is Owner.SUBSCRIBE
        reason = ReasonCode.MALFORMED_PACKET if is_malformed else ReasonCode.PROTOCOL_ERROR
        raise ViolationError(f"the property {kind.name} of {value}", reason)
    return value


_READ: Mapping[_Type, Callable[[Body], PropertyValue]] = {
    _Type.BYTE: Body.byte,
    _Type.UINT16: Body.uint16,
    _Type.UINT32: Body.uint32,
    _Type.LENGTH: Body.length,
    _Type.TEXT: Body.text,
    _Type.BINARY: Body.binary,
}


def write_properties(properties: Properties, owner: Owner | None = None) -> bytes:
    """Encode the length of the properties and the properties, those of `owner` if it is given."""
    if properties is NO_PROPERTIES:
        return b"\0"
    parts: list[bytes] = []
    for identifier, kind in (_OF_MESSAGES if owner is Owner.PUBLISH else _KINDS).items():
        value = getattr(properties, kind.name)
        if value is None:
            continue
        head = bytes((identifier,))
        values = value if kind.name in _SEVERAL else (value,)
        parts += [head + _write_value(kind, each) for each in values]
    joined = b"".join(parts)
    return encode_length(len(joined)) + joined


def _write_value(kind: _Kind, value: PropertyValue | tuple[str, str]) -> bytes:
    if isinstance(value, str):
        return encode_text(value)
    if isinstance(value, bytes):
        return UINT16.pack(len(value)) + value
    if isinstance(value, tuple):
        return encode_text(value[0]) + encode_text(value[1])
    return _WRITE_NUMBER[kind.type](value)


_WRITE_NUMBER: Mapping[_Type, Callable[[int], bytes]] = {
    _Type.BYTE: lambda value: bytes((value,)),
    _Type.UINT16: UINT16.pack,
    _Type.UINT32: UINT32.pack,
    _Type.LENGTH: encode_length,
}
