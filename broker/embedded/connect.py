"""CONNECT: reading a client's first packet and authenticating it. No state changes before that."""

import asyncio
import secrets

import msgspec

from broker.auth.gate import Attempt, Gate, Identity
from broker.embedded.counters import Refusal
from broker.embedded.net.connection import Connection
from broker.embedded.packets.codec import VERSION_3_1, VERSION_3_1_1
from broker.embedded.packets.connect import parse_connect
from broker.embedded.packets.model import (
    ConnackCode,
    Connect,
    PacketType,
    UnsupportedVersionError,
    ViolationError,
)
from broker.embedded.topics.names import valid_topic
from bus.errors import BadDataError, UnavailableError

# Limit of the first packet, which a stranger sends: most of it is for a last will.
MAX_CONNECT_BYTES = 16 * 1024
# MQTT-3.1.3-5 asks for at least 23 bytes. The key of a session is stored and logged.
_MAX_CLIENT_ID_BYTES = 256


class ConnectRefusedError(BadDataError):
    """A CONNECT that is refused; without a CONNACK code, the connection is closed alone."""

    def __init__(self, code: ConnackCode | None, cause: Refusal, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.cause = cause


class AcceptedConnect(msgspec.Struct, frozen=True):
    """An authenticated CONNECT. Its client identifier is never empty.

    `refused_will` is the topic of a will that the client may not publish; `connect` then has none.
    """

    connect: Connect
    identity: Identity
    refused_will: str | None = None


async def accept_connect(
    connection: Connection, gate: Gate, *, is_local: bool, deadline_s: float
) -> AcceptedConnect | None:
    """Read the CONNECT and ask the gate; None where the peer closed without sending anything.

    Raises ConnectRefusedError, ViolationError where the first packet is no CONNECT of MQTT 3.1.1.
    """
    connect = await _read(connection, deadline_s)
    if connect is None:
        return None
    connect = _with_client_id(connect)
    _check_will(connect)
    attempt = Attempt(
        client_id=connect.client_id,
        username=connect.username,
        password=connect.password,
        address=connection.address,
        is_local=is_local,
        certificate_name=connection.certificate_name,
        will_topic=connect.will.topic if connect.will else None,
    )
    identity = await _authenticate(gate, attempt)
    will = connect.will
    if will is None or (not will.topic.startswith("$") and gate.may_publish(identity, will.topic)):
        return AcceptedConnect(connect, identity)
    without_will = msgspec.structs.replace(connect, will=None)
    return AcceptedConnect(without_will, identity, refused_will=will.topic)


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
        return parse_connect(packet.body, levels=[VERSION_3_1, VERSION_3_1_1])
    except UnsupportedVersionError as e:
        raise ConnectRefusedError(ConnackCode.VERSION, Refusal.MALFORMED, str(e)) from e


def _with_client_id(connect: Connect) -> Connect:
    """Return the CONNECT, with a client identifier where it had none (MQTT-3.1.3-6 to -8)."""
    if len(connect.client_id.encode()) > _MAX_CLIENT_ID_BYTES:
        text = f"a client identifier of more than {_MAX_CLIENT_ID_BYTES} bytes"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    if connect.client_id:
        return connect
    if connect.version == VERSION_3_1:
        text = "MQTT 3.1 without a client identifier"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    if not connect.clean_session:
        text = "clean session 0 without a client identifier"
        raise ConnectRefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    return msgspec.structs.replace(connect, client_id=f"auto-{secrets.token_hex(8)}")


def _check_will(connect: Connect) -> None:
    will = connect.will
    if will is not None and not valid_topic(will.topic):
        raise ViolationError("a will for an invalid topic (MQTT-3.3.2-2, MQTT-4.7.3-1)")


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
