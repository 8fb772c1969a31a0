"""CONNECT: the checks before the gate is asked, and what the broker decides for the client."""

import uuid

import msgspec

from broker.auth.gate import Identity, Role
from broker.embedded.counters import Refusal
from broker.embedded.packets.codec import VERSION_3_1, VERSION_5, Writer
from broker.embedded.packets.model import (
    ConnackCode,
    Connect,
    ReasonCode,
    ViolationError,
    Will,
)
from broker.embedded.packets.writer3 import Writer3
from broker.embedded.topics.names import is_text, valid_topic
from bus.config.broker_table import BrokerConfig
from bus.errors import BadDataError

# MQTT-3.1.3-5 asks for at least 23 bytes. The key of a session is stored and logged.
_MAX_CLIENT_ID_BYTES = 256
# A CONNACK with what the client has to know.
_LEAST_PACKET_BYTES = 16
_ASSIGNED_PREFIX = "auto-"
# Property of the CONNACK: the prefix with a UUID after it.
_ASSIGNED_BYTES = 44
# A hub needs what these retain.
_ALWAYS_RETAINED = frozenset({Role.NODE, Role.HUB})
# The greatest keep alive of all: no other one is prescribed.
_ANY_S = 65_535


class ConnectRefusedError(BadDataError):
    """A CONNECT that is refused; without a CONNACK code, the connection is closed alone.

    `reason` is what a client of MQTT 5 is told in place of what the code says.
    """

    def __init__(
        self,
        code: ConnackCode | None,
        cause: Refusal,
        text: str,
        reason: ReasonCode | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.cause = cause
        self.reason = reason
        # Of the client's version of MQTT.
        self.writer: Writer = Writer3()


def decided(requested: Connect, settings: BrokerConfig) -> Connect:
    """Return a CONNECT with a client identifier and the keep alive that the broker allows.

    Raises ConnectRefusedError, ViolationError.
    """
    _check_client_id(requested, may_be_empty=settings.empty_client_ids)
    _check(requested)
    if requested.will is not None:
        _check_will(requested.will, requested.version, settings)
    connect = _with_keep_alive(requested, settings.max_keep_alive_s)
    if connect.client_id:
        return connect
    return msgspec.structs.replace(connect, client_id=f"{_ASSIGNED_PREFIX}{uuid.uuid4()}")


def _check_client_id(connect: Connect, *, may_be_empty: bool) -> None:
    """Refuse a client identifier that is no text, too long, or missing (MQTT-3.1.3-6 to -8)."""
    client_id, version = connect.client_id, connect.version
    if not is_text(client_id):
        text = "a client identifier with control characters"
        if version < VERSION_5:
            raise ViolationError(text)
        raise _refused_id(text)
    if len(client_id.encode()) > _MAX_CLIENT_ID_BYTES:
        raise _refused_id(f"a client identifier of more than {_MAX_CLIENT_ID_BYTES} bytes")
    if client_id:
        return
    if version == VERSION_3_1:
        raise _refused_id("MQTT 3.1 without a client identifier")
    if not connect.clean_session and version < VERSION_5:
        raise _refused_id("clean session 0 without a client identifier")
    if not may_be_empty:
        text = "no client identifier (broker.empty_client_ids)"
        raise _refused_id(text, ReasonCode.UNSPECIFIED)


def _refused_id(text: str, reason: ReasonCode | None = None) -> ConnectRefusedError:
    return ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text, reason)


def _with_keep_alive(connect: Connect, most_s: int) -> Connect:
    """Return the CONNECT with the server keep alive of MQTT 5."""
    if connect.version < VERSION_5 or 0 < connect.keep_alive_s <= most_s or most_s == _ANY_S:
        return connect
    return msgspec.structs.replace(connect, keep_alive_s=most_s)


def _check_will(will: Will, version: int, settings: BrokerConfig) -> None:
    if not valid_topic(will.topic):
        text = "a will for an invalid topic (MQTT-3.3.2-2, MQTT-4.7.3-1)"
        if version < VERSION_5:
            raise ViolationError(text)
        raise ConnectRefusedError(
            ConnackCode.UNAVAILABLE, Refusal.TOPIC, text, ReasonCode.TOPIC_NAME_INVALID
        )
    if will.qos > settings.max_qos:
        text = f"a will at QoS {will.qos} (broker.max_qos)"
        raise ConnectRefusedError(
            ConnackCode.NOT_AUTHORIZED, Refusal.QOS, text, ReasonCode.QOS_NOT_SUPPORTED
        )
    if len(will.payload) > settings.most_payload_bytes:
        text = f"a will of {len(will.payload)} bytes (broker.payload_bytes)"
        raise ConnectRefusedError(
            ConnackCode.NOT_AUTHORIZED, Refusal.PACKET_SIZE, text, ReasonCode.PACKET_TOO_LARGE
        )


def may_retain(identity: Identity, settings: BrokerConfig) -> bool:
    """Whether messages of a client are retained."""
    return settings.retain_by == "all" or identity.role in _ALWAYS_RETAINED


def _check(connect: Connect) -> None:
    if not is_text(connect.username or ""):
        raise ViolationError("a user name with control characters", None)
    most_bytes = connect.properties.maximum_packet_bytes
    least_bytes = _LEAST_PACKET_BYTES + (0 if connect.client_id else _ASSIGNED_BYTES)
    if most_bytes is not None and most_bytes < least_bytes:
        raise ConnectRefusedError(
            None, Refusal.PACKET_SIZE, f"a maximum packet size of {most_bytes} bytes"
        )
    if connect.properties.authentication_method is not None:
        text = f"enhanced authentication {connect.properties.authentication_method!r}"
        raise ConnectRefusedError(ConnackCode.METHOD, Refusal.LOGIN, text)
