"""Decoder of CONNECT, the packet that names the version of the protocol."""

from broker.embedded.packets.fields import Body
from broker.embedded.packets.model import (
    NO_PROPERTIES,
    Connect,
    ReasonCode,
    UnsupportedVersionError,
    ViolationError,
    Will,
)
from broker.embedded.packets.properties import Owner, check_response_topic, read_properties

# The protocol names by level: of MQTT 3.1, 3.1.1 and 5.
_NAMES = {3: b"MQIsdp", 4: b"MQTT", 5: b"MQTT"}
# Bridges of Mosquitto set it in the level of MQTT 3.1 and 3.1.1.
_BRIDGE = 0x80
_START_OF_5 = b"\0\4MQTT\5"


def parse_connect(data: bytes) -> Connect:
    """Decode a CONNECT. Raises ViolationError, UnsupportedVersionError for other versions."""
    body = Body(data)
    name, level = body.binary(), body.byte()
    if name not in _NAMES.values():
        raise ViolationError("a CONNECT of another protocol (MQTT-3.1.2-1)")
    is_bridge = bool(level & _BRIDGE) and level & ~_BRIDGE < 5
    level = level & ~_BRIDGE if is_bridge else level
    if name != _NAMES.get(level):
        expected = ", ".join(map(str, _NAMES))
        text = f"MQTT protocol level {level}, expected one of {expected}"
        raise UnsupportedVersionError(text, level)
    flags, keep_alive_s = body.byte(), body.uint16()
    _check_flags(flags, level)
    properties = read_properties(body, Owner.CONNECT) if level == 5 else NO_PROPERTIES
    if properties.authentication_data and properties.authentication_method is None:
        raise ViolationError("authentication data without a method", ReasonCode.PROTOCOL_ERROR)
    client_id = _text(body, ReasonCode.CLIENT_ID_NOT_VALID)
    will = _parse_will(body, flags, level) if flags & 0x04 else None
    username = _text(body, None) if flags & 0x80 else None
    password = _password(body) if flags & 0x40 else None
    body.end()
    return Connect(
        client_id=client_id,
        clean_session=bool(flags & 0x02),
        keep_alive_s=keep_alive_s,
        will=will,
        username=username,
        password=password,
        version=level,
        is_bridge=is_bridge,
        properties=properties,
    )


def _text(body: Body, reason: ReasonCode | None) -> str:
    """Return a string of the payload; `reason` is what the client of a wrong one is told."""
    try:
        text = body.text()
    except ViolationError as e:
        raise ViolationError(str(e), reason) from e
    return text


def _password(body: Body) -> bytes:
    try:
        return body.binary()
    except ViolationError as e:
        # As of a wrong one, a stranger hears nothing of it.
        raise ViolationError(str(e), None) from e


def is_version5(data: bytes) -> bool:
    """Whether the body of a CONNECT, perhaps a malformed one, is of MQTT 5."""
    return data.startswith(_START_OF_5)


def _check_flags(flags: int, level: int) -> None:
    if flags & 0x01 and level > 3:
        raise ViolationError("a CONNECT with the reserved flag (MQTT-3.1.2-3)")
    if not flags & 0x04 and flags & 0x38:
        raise ViolationError("a CONNECT with will flags and no will (MQTT-3.1.2-13)")
    if flags & 0x18 == 0x18:
        raise ViolationError("a will at QoS 3 (MQTT-3.1.2-14)")
    if level < 5 and flags & 0x40 and not flags & 0x80:
        raise ViolationError("a password without a user name (MQTT-3.1.2-22)")


def _parse_will(body: Body, flags: int, level: int) -> Will:
    properties = read_properties(body, Owner.WILL) if level == 5 else NO_PROPERTIES
    check_response_topic(properties)
    topic, payload = _text(body, None), body.binary()
    return Will(topic, payload, flags >> 3 & 3, bool(flags & 0x20), properties)
