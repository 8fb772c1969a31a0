"""CONNECT: reading a client's first packet and authenticating it. No state changes before that."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from broker.auth.gate import Attempt, Gate, Identity
from broker.embedded.connect.checks import ConnectRefusedError, decided, may_retain
from broker.embedded.counters import Refusal
from broker.embedded.net.connection import Connection
from broker.embedded.net.deadline import PeerDeadline
from broker.embedded.packets.codec import (
    CLIENT_ALIASES,
    RECEIVE_MAXIMUM,
    VERSION_5,
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
from broker.embedded.packets.writer5 import Writer5
from broker.embedded.topics.sys_topics import is_free_topic
from bus.config.broker_table import BrokerConfig
from bus.errors import UnavailableError

# Limit of the first packet, which a stranger sends: most of it is for a last will.
MAX_CONNECT_BYTES = 16 * 1024


class AcceptedConnect(msgspec.Struct, frozen=True):
    """An authenticated CONNECT. Its client identifier is never empty.

    `refused_will` is the topic of a will that the client may not publish; `connect` then has none.
    `requested` has the CONNECT as it came, without what the broker decided.
    """

    connect: Connect
    identity: Identity
    requested: Connect
    refused_will: str | None = None
    may_retain: bool = True


async def accept_connect(  # noqa: PLR0913 - what one CONNECT needs
    connection: Connection,
    gate: Gate,
    *,
    is_local: bool,
    deadline_s: float,
    settings: BrokerConfig,
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
        connect = decided(requested, settings)
        attempt = _attempt(connection, connect, is_local=is_local)
        with authenticating():
            identity = await _authenticate(gate, attempt)
        accepted = AcceptedConnect(
            connect, identity, requested, may_retain=may_retain(identity, settings)
        )
        return _with_allowed_will(gate, accepted)
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


def _with_allowed_will(gate: Gate, accepted: AcceptedConnect) -> AcceptedConnect:
    """Return the CONNECT, without a will that the client may not publish."""
    will = accepted.connect.will
    if will is None:
        return accepted
    if will.retain and not accepted.may_retain:
        raise ConnectRefusedError(
            ConnackCode.NOT_AUTHORIZED,
            Refusal.RETAINED,
            "a retained will (broker.retain_by)",
            ReasonCode.RETAIN_NOT_SUPPORTED,
        )
    if is_free_topic(will.topic) and gate.may_publish(accepted.identity, will.topic):
        return accepted
    without_will = msgspec.structs.replace(accepted.connect, will=None)
    return msgspec.structs.replace(accepted, connect=without_will, refused_will=will.topic)


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
        maximum_qos=1 if settings.max_qos == 1 else None,
        retain_available=None if accepted.may_retain else 0,
        wildcard_available=1,
        subscription_ids_available=1,
        shared_available=1,
    )


async def _read(connection: Connection, deadline_s: float) -> Connect | None:
    try:
        async with PeerDeadline(deadline_s):
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
        if e.reason is None or not is_version5(packet.body):
            raise
        refusal = ConnectRefusedError(
            ConnackCode.UNAVAILABLE, Refusal.MALFORMED, str(e), reason=e.reason
        )
        refusal.writer = Writer5()
        raise refusal from e


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
