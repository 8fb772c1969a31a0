"""CONNECT: reading a client's first packet and authenticating it. No state changes before that."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from broker.auth.gate import Attempt, Gate, Identity
from broker.embedded.counters import Refusal
from broker.embedded.net.connection import Connection
from broker.embedded.packets.codec import (
    CLIENT_ALIASES,
    RECEIVE_MAXIMUM,
    VERSION_3_1,
    VERSION_5,
    Writer,
    codec_for,
)
from broker.embedded.packets.connect import is_version5, parse_connect
from broker.embedded.packets.model import (
    NO_PROPERTIES,
    ConnackCode,
    Connect,
    PacketType,
    Properties,
    ReasonCode,
    UnsupportedVersionError,
    ViolationError,
)
from broker.embedded.packets.writer3 import Writer3
from broker.embedded.packets.writer5 import Writer5
from broker.embedded.topics.names import is_text, valid_topic
from bus.config.broker_table import BrokerConfig
from bus.errors import BadDataError, UnavailableError

# Limit of the first packet, which a stranger sends: most of it is for a last will.
MAX_CONNECT_BYTES = 16 * 1024
# MQTT-3.1.3-5 asks for at least 23 bytes. The key of a session is stored and logged.
_MAX_CLIENT_ID_BYTES = 256
# A CONNACK with what the client has to know, its client identifier aside.
_LEAST_PACKET_BYTES = 16
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


class AcceptedConnect(msgspec.Struct, frozen=True):
    """An authenticated CONNECT. Its client identifier is never empty.

    `refused_will` is the topic of a will that the client may not publish; `connect` then has none.
    `requested` has the CONNECT as it came, without what the broker decided.
    """

    connect: Connect
    identity: Identity
    requested: Connect
    refused_will: str | None = None


async def accept_connect(  # noqa: PLR0913 - what one CONNECT needs
    connection: Connection,
    gate: Gate,
    *,
    is_local: bool,
    deadline_s: float,
    max_keep_alive_s: int,
    authenticating: Callable[[], AbstractContextManager[None]],
) -> AcceptedConnect | None:
    """Read the CONNECT and ask the gate; None where the peer closed without sending anything.

    The gate is asked within `authenticating`, for it may take its time. Raises ConnectRefusedError,
    ViolationError where the first packet is no CONNECT.
    """
    requested = await _read(connection, deadline_s)
    if requested is None:
        return None
    try:
        connect = _with_keep_alive(_with_client_id(requested), max_keep_alive_s)
        _check(connect)
        attempt = _attempt(connection, connect, is_local=is_local)
        with authenticating():
            identity = await _authenticate(gate, attempt)
        return _accepted(gate, identity, connect, requested)
    except ConnectRefusedError as e:
        e.writer = codec_for(requested).writer
        raise


def _attempt(connection: Connection, connect: Connect, *, is_local: bool) -> Attempt:
    return Attempt(
        client_id=connect.client_id,
        username=connect.username,
        password=connect.password,
        address=connection.address,
        is_local=is_local,
        certificate_name=connection.certificate_name,
        will_topic=connect.will.topic if connect.will else None,
    )


def _accepted(
    gate: Gate, identity: Identity, connect: Connect, requested: Connect
) -> AcceptedConnect:
    will = connect.will
    if will is None or (not will.topic.startswith("$") and gate.may_publish(identity, will.topic)):
        return AcceptedConnect(connect, identity, requested)
    without_will = msgspec.structs.replace(connect, will=None)
    return AcceptedConnect(without_will, identity, requested, refused_will=will.topic)


def connack_properties(
    accepted: AcceptedConnect, settings: BrokerConfig, expiry_s: int | None
) -> Properties:
    """Return what a client of MQTT 5 has to know of the broker and of what it decided."""
    connect, requested = accepted.connect, accepted.requested
    if connect.version < VERSION_5:
        return NO_PROPERTIES
    is_assigned = connect.client_id != requested.client_id
    has_other_expiry = expiry_s != (requested.properties.session_expiry_s or 0)
    has_other_keep_alive = connect.keep_alive_s != requested.keep_alive_s
    return Properties(
        session_expiry_s=expiry_s if has_other_expiry else None,
        assigned_client_id=connect.client_id if is_assigned else None,
        server_keep_alive_s=connect.keep_alive_s if has_other_keep_alive else None,
        receive_maximum=RECEIVE_MAXIMUM,
        topic_alias_maximum=CLIENT_ALIASES,
        maximum_packet_bytes=settings.packet_kb * 1024,
        wildcard_available=1,
        subscription_ids_available=1,
        shared_available=1,
    )


async def _read(connection: Connection, deadline_s: float) -> Connect | None:
    try:
        async with asyncio.timeout_at(deadline_s):
            packet = await connection.first_packet()
    except TimeoutError as e:
        text = f"no CONNECT from {connection.address} in time"
        raise ConnectRefusedError(None, Refusal.CONNECT_TIMEOUT, text) from e
    if packet is None:
        return None
    if packet.kind != PacketType.CONNECT:
        name = PacketType(packet.kind).name
        raise ViolationError(f"a {name} before the CONNECT (MQTT-3.1.0-1)")
    try:
        return parse_connect(packet.body)
    except UnsupportedVersionError as e:
        refusal = ConnectRefusedError(ConnackCode.VERSION, Refusal.MALFORMED, str(e))
        if e.level > VERSION_5:
            refusal.writer = Writer5()
        raise refusal from e
    except ViolationError as e:
        if not is_version5(packet.body):
            raise
        refusal = ConnectRefusedError(
            ConnackCode.UNAVAILABLE, Refusal.MALFORMED, str(e), reason=e.reason
        )
        refusal.writer = Writer5()
        raise refusal from e


def _with_client_id(connect: Connect) -> Connect:
    """Return the CONNECT, with a client identifier where it had none (MQTT-3.1.3-6 to -8)."""
    if len(connect.client_id.encode()) > _MAX_CLIENT_ID_BYTES or not is_text(connect.client_id):
        text = f"a client identifier of more than {_MAX_CLIENT_ID_BYTES} bytes, or no text"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    if connect.client_id:
        return connect
    if connect.version == VERSION_3_1:
        text = "MQTT 3.1 without a client identifier"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    if not connect.clean_session and connect.version < VERSION_5:
        text = "clean session 0 without a client identifier"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    return msgspec.structs.replace(connect, client_id=f"auto-{secrets.token_hex(8)}")


def _with_keep_alive(connect: Connect, most_s: int) -> Connect:
    """Return the CONNECT with the server keep alive of MQTT 5."""
    if connect.version < VERSION_5 or 0 < connect.keep_alive_s <= most_s or most_s == _ANY_S:
        return connect
    return msgspec.structs.replace(connect, keep_alive_s=most_s)


def _check(connect: Connect) -> None:
    will = connect.will
    if will is not None and not valid_topic(will.topic):
        text = "a will for an invalid topic (MQTT-3.3.2-2, MQTT-4.7.3-1)"
        if connect.version < VERSION_5:
            raise ViolationError(text)
        raise ConnectRefusedError(
            ConnackCode.UNAVAILABLE, Refusal.TOPIC, text, ReasonCode.TOPIC_NAME_INVALID
        )
    most_bytes = connect.properties.maximum_packet_bytes
    least_bytes = _LEAST_PACKET_BYTES + len(connect.client_id)
    if most_bytes is not None and most_bytes < least_bytes:
        raise ConnectRefusedError(
            None, Refusal.PACKET_SIZE, f"a maximum packet size of {most_bytes} bytes"
        )
    if connect.properties.authentication_method is not None:
        text = f"enhanced authentication {connect.properties.authentication_method!r}"
        raise ConnectRefusedError(ConnackCode.METHOD, Refusal.LOGIN, text)


async def _authenticate(gate: Gate, attempt: Attempt) -> Identity:
    try:
        identity = await gate.authenticate(attempt)
    except UnavailableError as e:
        raise ConnectRefusedError(
            ConnackCode.UNAVAILABLE, Refusal.LOGIN, f"{attempt!r}: {e}"
        ) from e
    if identity is None:
        text = f"{attempt!r} is not authorized"
        raise ConnectRefusedError(ConnackCode.NOT_AUTHORIZED, Refusal.LOGIN, text)
    return identity
