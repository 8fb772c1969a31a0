"""Client of MQTT 5 on a blocking socket: raw packets, with their properties decoded."""

from typing import Any

import msgspec

from broker.embedded.packets.fields import Body
from broker.embedded.packets.model import Properties
from broker.embedded.packets.properties import Owner, read_properties, write_properties
from tests.broker.embedded.raw import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    Message,
    RawClient,
    binary,
    packet,
    uint16,
)
from tests.broker.embedded.running import Running

CONNACK, DISCONNECT = 2, 14
NO_LOCAL, AS_PUBLISHED = 4, 8
# Retained messages for a new subscription, never.
IF_NEW, NEVER = 0x10, 0x20
NONE = Properties()


class Connected(msgspec.Struct, frozen=True):
    reason: int
    session_present: bool
    properties: Properties


class Message5(Message, frozen=True):
    properties: Properties


def connect5(
    client_id: str,
    *,
    clean: bool = True,
    keep_alive_s: int = 0,
    will: tuple[str, bytes, int, bool, Properties] | None = None,
    username: str | None = None,
    password: bytes | None = None,
    **properties: Any,
) -> bytes:
    """`will`: topic, payload, QoS, retain, properties."""
    flags = 2 if clean else 0
    payload = binary(client_id.encode())
    if will is not None:
        topic, message, qos, retain, of_will = will
        flags |= 4 | qos << 3 | retain << 5
        payload += write_properties(of_will) + binary(topic.encode()) + binary(message)
    if username is not None:
        flags |= 0x80
        payload += binary(username.encode())
    if password is not None:
        flags |= 0x40
        payload += binary(password)
    fixed = binary(b"MQTT") + bytes((5, flags)) + uint16(keep_alive_s)
    return packet(0x10, fixed + write_properties(Properties(**properties)) + payload)


def publish5(
    topic: str,
    payload: bytes = b"",
    qos: int = 0,
    *,
    retain: bool = False,
    packet_id: int = 1,
    **properties: Any,
) -> bytes:
    ids = uint16(packet_id) if qos else b""
    fields = write_properties(Properties(**properties))
    return packet(0x30 | qos << 1 | retain, binary(topic.encode()) + ids + fields + payload)


def subscribe5(*filters: tuple[str, int], identifier: int = 0, packet_id: int = 1) -> bytes:
    """Each filter with its options."""
    ids = (identifier,) if identifier else ()
    body = uint16(packet_id) + write_properties(Properties(subscription_ids=ids))
    for text, options in filters:
        body += binary(text.encode()) + bytes((options,))
    return packet(0x82, body)


def disconnect5(reason: int = 0, /, **properties: Any) -> bytes:
    return packet(0xE0, bytes((reason,)) + write_properties(Properties(**properties)))


class Raw5(RawClient):
    """One connection of MQTT 5. What comes while another packet is awaited waits in `arrived`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.arrived: list[Message5] = []
        self.connack: Connected

    def open(self, client_id: str, **options: Any) -> Connected:
        """Send a CONNECT and return the CONNACK, which is successful."""
        found = self.ask(client_id, **options)
        assert found.reason == 0, f"CONNACK {found.reason:#x}"
        return found

    def ask(self, client_id: str, **options: Any) -> Connected:
        """Send a CONNECT and return the CONNACK."""
        self.send(connect5(client_id, **options))
        answer = self.read()
        assert answer is not None, "the broker closed the connection"
        assert answer[0] == CONNACK << 4
        body = Body(answer[1])
        present, reason = bool(body.byte()), body.byte()
        self.connack = Connected(reason, present, read_properties(body, Owner.CONNACK))
        return self.connack

    def answer(self, kind: int) -> bytes:
        """Return the body of the next packet of a kind; messages before it are kept."""
        while True:
            found = self.read()
            assert found is not None, "the broker closed the connection"
            if found[0] >> 4 == kind:
                return found[1]
            assert found[0] >> 4 == PUBLISH, f"packet type {found[0] >> 4}, expected {kind}"
            self.arrived.append(_message(*found))

    def ping5(self) -> None:
        self.send(b"\xc0\x00")
        self.answer(13)

    def subscribe5(self, *filters: tuple[str, int], identifier: int = 0) -> list[int]:
        """Return the reason codes."""
        self.send(subscribe5(*filters, identifier=identifier))
        body = Body(self.answer(SUBACK))
        body.packet_id()
        read_properties(body, Owner.ANSWER)
        return list(body.rest())

    def publish5(self, topic: str, payload: bytes = b"", qos: int = 1, **options: Any) -> int:
        """Publish, with the whole handshake; return the reason code."""
        self.send(publish5(topic, payload, qos, **options))
        if not qos:
            return 0
        reason = _reason(self.answer(PUBACK if qos == 1 else PUBREC))
        if qos == 2 and reason < 0x80:
            self.send(packet(PUBREL << 4 | 2, uint16(options.get("packet_id", 1))))
            assert _reason(self.answer(PUBCOMP)) == 0
        return reason

    def next5(self) -> Message5:
        """Return the next message, without acknowledging it."""
        if self.arrived:
            return self.arrived.pop(0)
        found = self.read()
        assert found is not None, "the broker closed the connection"
        assert found[0] >> 4 == PUBLISH, f"packet type {found[0] >> 4}, expected a message"
        return _message(*found)

    def take5(self, count: int) -> list[Message5]:
        """Return so many messages, each acknowledged."""
        taken = []
        for _ in range(count):
            message = self.next5()
            taken.append(message)
            if message.qos == 1:
                self.send(packet(PUBACK << 4, uint16(message.packet_id)))
            elif message.qos == 2:
                self.send(packet(PUBREC << 4, uint16(message.packet_id)))
                self.answer(PUBREL)
                self.send(packet(PUBCOMP << 4, uint16(message.packet_id)))
        return taken

    def rest5(self) -> list[Message5]:
        """Return the messages that come before the broker answers a PING, not acknowledged."""
        self.ping5()
        arrived, self.arrived = self.arrived, []
        return arrived

    def goodbye(self) -> int | None:
        """Return the reason in the broker's DISCONNECT, None where it closed without one."""
        while (found := self.read()) is not None:
            if found[0] == DISCONNECT << 4:
                assert self.is_closed()
                return found[1][0]
        return None

    def leave(self, reason: int = 0, **properties: Any) -> None:
        """Disconnect and wait until the broker has closed."""
        self.send(disconnect5(reason, **properties))
        assert self.is_closed()
        self.sock.close()


def client5(broker: Running, client_id: str, **options: Any) -> Raw5:
    """Return a client that was let in; it is closed when the broker is."""
    client = Raw5(broker.port)
    broker.close_later(client)
    client.open(client_id, **options)
    return client


def _reason(body: bytes) -> int:
    return body[2] if len(body) > 2 else 0


def _message(first_byte: int, data: bytes) -> Message5:
    body, qos = Body(data), first_byte >> 1 & 3
    topic = body.text()
    packet_id = body.packet_id() if qos else 0
    properties = read_properties(body, Owner.PUBLISH)
    retain, dup = bool(first_byte & 1), bool(first_byte & 8)
    return Message5(topic, body.rest(), qos, retain, dup, packet_id, properties)
