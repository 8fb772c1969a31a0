"""A client's first packet: who wants in, and whether it may. Nothing is changed before that."""

import asyncio
import secrets

import msgspec

from broker.auth.gate import Attempt, Gate, Identity
from broker.embedded.net.connection import Connection
from broker.embedded.packets import decode
from broker.embedded.packets.decode import Connect, PacketType, ViolationError
from broker.embedded.packets.encode import ConnackCode
from broker.embedded.statistics import Refusal
from broker.embedded.topics.names import valid_topic
from bus.errors import BadDataError, UnavailableError

# MQTT-3.1.3-5 asks for 23 bytes at least; a session's key is kept and logged.
_LONGEST_CLIENT_ID = 256


class RefusedError(BadDataError):
    """A CONNECT that is answered with a refusal; without a code, by closing alone."""

    def __init__(self, code: ConnackCode | None, cause: Refusal, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.cause = cause


class Arrival(msgspec.Struct, frozen=True):
    """A client that was let in. Its client id is never empty."""

    connect: Connect
    identity: Identity


async def arrive(
    connection: Connection, gate: Gate, *, is_local: bool, timeout_s: float
) -> Arrival | None:
    """Read the CONNECT and ask the gate. None: the peer went without a word.

    Raises RefusedError, ViolationError where the first packet is no CONNECT of MQTT 3.1.1.
    """
    connect = await _read(connection, timeout_s)
    if connect is None:
        return None
    connect = _named(connect)
    _check_will(connect)
    attempt = Attempt(
        client_id=connect.client_id,
        username=connect.username,
        password=connect.password,
        address=connection.address,
        is_local=is_local,
        certificate_name=connection.certificate_name,
    )
    identity = await _identify(gate, attempt)
    if connect.will is not None and not gate.may_publish(identity, connect.will.topic):
        text = f"{attempt!r}: the will's topic {connect.will.topic!r} is not its own"
        raise RefusedError(ConnackCode.NOT_AUTHORIZED, Refusal.PUBLISH, text)
    return Arrival(connect, identity)


async def _read(connection: Connection, timeout_s: float) -> Connect | None:
    try:
        async with asyncio.timeout(timeout_s):
            packet = await connection.read()
    except TimeoutError as e:
        text = f"no CONNECT from {connection.address} within {timeout_s:g} s"
        raise RefusedError(None, Refusal.CONNECT_TIMEOUT, text) from e
    if packet is None:
        return None
    if packet.kind is not PacketType.CONNECT:
        raise ViolationError(f"a {packet.kind.name} before the CONNECT (MQTT-3.1.0-1)")
    try:
        return decode.parse_connect(packet.body)
    except decode.RefusedVersionError as e:
        raise RefusedError(ConnackCode.VERSION, Refusal.MALFORMED, str(e)) from e


def _named(connect: Connect) -> Connect:
    """Return a CONNECT with a client id (MQTT-3.1.3-6 to -8)."""
    if len(connect.client_id.encode()) > _LONGEST_CLIENT_ID:
        text = f"a client id of more than {_LONGEST_CLIENT_ID} bytes"
        raise RefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    if connect.client_id:
        return connect
    if not connect.clean_session:
        text = "a session to be kept, without a client id"
        raise RefusedError(ConnackCode.IDENTIFIER, Refusal.MALFORMED, text)
    return msgspec.structs.replace(connect, client_id=f"auto-{secrets.token_hex(8)}")


def _check_will(connect: Connect) -> None:
    will = connect.will
    if will is not None and (not valid_topic(will.topic) or will.topic.startswith("$")):
        raise ViolationError("a will for a topic that no client may publish to")


async def _identify(gate: Gate, attempt: Attempt) -> Identity:
    try:
        identity = await gate.identify(attempt)
    except UnavailableError as e:
        raise RefusedError(ConnackCode.UNAVAILABLE, Refusal.LOGIN, f"{attempt!r}: {e}") from e
    if identity is None:
        text = f"{attempt!r} is not let in"
        raise RefusedError(ConnackCode.NOT_AUTHORIZED, Refusal.LOGIN, text)
    return identity
