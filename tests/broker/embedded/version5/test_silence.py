"""Refusals of MQTT 5: with which reason, and which of them without a word."""

from collections.abc import Iterator

import pytest

from tests.broker.embedded.raw import binary, packet, uint16
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import Raw5, client5, connect5, disconnect5

pytestmark = ours_only

# Flags of a CONNECT.
CLEAN, WILL, PASSWORD, USERNAME = 0x02, 0x04, 0x40, 0x80

SILENT = {
    "a length of five bytes": b"\xc0\x80\x80\x80\x80\x01",
    "a length of five bytes in an answer": b"\x90\x80\x80\x80\x80\x01",
    "a PINGREQ with a body": packet(0xC0, b"x"),
    "a DISCONNECT with a reason of the broker": disconnect5(0x8E),
    "a DISCONNECT with an unknown reason": disconnect5(0x05),
}
TOLD = {
    "a SUBACK": (packet(0x90, uint16(1)), 0x82),
    "a SUBACK with flags": (packet(0x91, uint16(1)), 0x81),
    "a PINGRESP with flags": (packet(0xD1), 0x81),
    "a CONNACK with flags": (packet(0x21, b"\0\0\0"), 0x82),
    "a SUBSCRIBE with packet identifier 0": (packet(0x82, b"\0\0\0\0\1t\0"), 0x81),
    "an UNSUBSCRIBE with packet identifier 0": (packet(0xA2, b"\0\0\0\0\1t"), 0x81),
    "a PUBACK with packet identifier 0": (packet(0x40, b"\0\0"), 0x82),
    "a PUBLISH with subscription identifier 0": (packet(0x30, b"\0\1t\2\x0b\0"), 0x82),
    "a SUBSCRIBE with identifier 0": (packet(0x82, b"\0\1\2\x0b\0\0\1t\0"), 0x81),
}


def _connect(flags: int, *fields: bytes) -> bytes:
    fixed = binary(b"MQTT") + bytes((5, flags | CLEAN)) + uint16(0) + b"\0"
    return packet(0x10, fixed + b"".join(fields))


SILENT_CONNECTS = {
    "no user name": _connect(USERNAME, binary(b"c")),
    "no password": _connect(USERNAME | PASSWORD, binary(b"c"), binary(b"u")),
    "a user name that is not UTF-8": _connect(USERNAME, binary(b"c"), binary(b"\xff")),
    "a user name with U+0000": _connect(USERNAME, binary(b"c"), binary(b"u\0")),
    "a user name with a control character": connect5("c", username="u\1"),
    "a user name with a non-character": connect5("c", username="u\uffff"),
    "a will topic that is not UTF-8": _connect(
        WILL, binary(b"c"), b"\0", binary(b"\xff"), binary(b"")
    ),
}
BAD_IDS = (b"\xff", b"c\0", b"c\x1f", b"c\xc2\x9f", "\uffff".encode(), "\ufdd0".encode())


@pytest.fixture(scope="module")
def broker() -> Iterator[Running]:
    with running() as broker:
        yield broker


@pytest.mark.parametrize("what", SILENT)
def test_some_clients_are_cut_off_without_a_word(broker: Running, what: str) -> None:
    client = client5(broker, "c")
    client.send(SILENT[what])
    assert client.goodbye() is None


@pytest.mark.parametrize("what", TOLD)
def test_the_others_hear_the_reason(broker: Running, what: str) -> None:
    data, reason = TOLD[what]
    client = client5(broker, "c")
    client.send(data)
    assert client.goodbye() == reason


@pytest.mark.parametrize("what", SILENT_CONNECTS)
def test_malformed_credentials_and_wills_have_no_answer(broker: Running, what: str) -> None:
    stranger = Raw5(broker.port)
    broker.close_later(stranger)
    stranger.send(SILENT_CONNECTS[what])
    assert stranger.is_closed()


@pytest.mark.parametrize("client_id", BAD_IDS)
def test_a_client_identifier_is_text(broker: Running, client_id: bytes) -> None:
    stranger = Raw5(broker.port)
    broker.close_later(stranger)
    stranger.send(_connect(0, binary(client_id)))
    found = stranger.read()
    assert found is not None
    assert found[1][:2] == b"\0\x85"
    old = broker.raw()
    fixed = binary(b"MQTT") + bytes((4, CLEAN)) + uint16(0)
    old.send(packet(0x10, fixed + binary(client_id)))
    assert old.is_closed()
