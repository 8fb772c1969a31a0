"""MQTT client on a blocking socket, which sends any bytes, also forbidden ones."""

import socket
import struct
import time
from typing import Self

import msgspec

from tests.broker.embedded.switch import PATIENCE_S
from tests.support import HOST

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
SUBACK, UNSUBACK, PINGRESP = 9, 11, 13
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
_SETTLE_S = 0.1


def packet(first_byte: int, body: bytes = b"") -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes((low | (128 if rest else 0),))
        if not rest:
            return bytes((first_byte,)) + length + body


def binary(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def uint16(value: int) -> bytes:
    return struct.pack(">H", value)


def connect(
    client_id: str | bytes,
    *,
    clean: bool = True,
    keep_alive_s: int = 0,
    will: tuple[str, bytes, int, bool] | None = None,
    username: str | None = None,
    password: bytes | None = None,
    level: int = 4,
    flags: int = 0,
    name: bytes = b"MQTT",
) -> bytes:
    """`will`: topic, payload, QoS, retain. `flags` are set beside those that follow."""
    client_id = client_id.encode() if isinstance(client_id, str) else client_id
    flags |= 2 if clean else 0
    payload = binary(client_id)
    if will is not None:
        topic, message, qos, retain = will
        flags |= 4 | qos << 3 | retain << 5
        payload += binary(topic.encode()) + binary(message)
    if username is not None:
        flags |= 0x80
        payload += binary(username.encode())
    if password is not None:
        flags |= 0x40
        payload += binary(password)
    return packet(0x10, binary(name) + bytes((level, flags)) + uint16(keep_alive_s) + payload)


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    qos: int = 0,
    *,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 1,
) -> bytes:
    topic = topic.encode() if isinstance(topic, str) else topic
    ids = uint16(packet_id) if qos else b""
    return packet(0x30 | dup << 3 | qos << 1 | retain, binary(topic) + ids + payload)


def subscribe(*filters: tuple[str | bytes, int], packet_id: int = 1) -> bytes:
    body = uint16(packet_id)
    for text, qos in filters:
        body += binary(text.encode() if isinstance(text, str) else text) + bytes((qos,))
    return packet(0x82, body)


def unsubscribe(*filters: str, packet_id: int = 1) -> bytes:
    return packet(0xA2, uint16(packet_id) + b"".join(binary(text.encode()) for text in filters))


class Message(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int


class RawClient:
    """One connection. Messages that come while another packet is awaited wait in `messages`."""

    def __init__(
        self, port: int, *, receive_bytes: int | None = None, source: str | None = None
    ) -> None:
        self.sock = socket.socket()
        if source is not None:
            self.sock.bind((source, 0))
        if receive_bytes is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect((HOST, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.messages: list[Message] = []
        self._buffer = b""
        self._packet_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def connect(self, client_id: str, **options: object) -> int | None:
        """Return the CONNACK's code, None where the broker closed instead."""
        self.send(connect(client_id, **options))  # type: ignore[arg-type]
        answer = self.read()
        if answer is None:
            return None
        assert answer[0] >> 4 == CONNACK
        self.session_present = bool(answer[1][0])
        return answer[1][1]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, timeout_s: float = PATIENCE_S) -> tuple[int, bytes] | None:
        """Return the next packet's first byte and body, None where the broker closed."""
        deadline_s = time.monotonic() + timeout_s
        while (found := self._frame()) is None:
            self.sock.settimeout(max(deadline_s - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(65_536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
        return found

    def _frame(self) -> tuple[int, bytes] | None:
        length, shift = 0, 0
        for at, byte in enumerate(self._buffer[1:5], 2):
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if len(self._buffer) < at + length:
                    return None
                found = self._buffer[0], self._buffer[at : at + length]
                self._buffer = self._buffer[at + length :]
                return found
        return None

    def expect(self, kind: int, timeout_s: float = PATIENCE_S) -> bytes:
        """Return the body of the next packet of a kind; messages before it are kept."""
        while True:
            found = self.read(timeout_s)
            assert found is not None, "the broker closed the connection"
            if found[0] >> 4 == kind:
                return found[1]
            assert found[0] >> 4 == PUBLISH, f"packet type {found[0] >> 4}, expected {kind}"
            self.messages.append(_message(*found))

    def receive(self, timeout_s: float = PATIENCE_S) -> Message:
        """Return the next message, without acknowledging it."""
        if self.messages:
            return self.messages.pop(0)
        found = self.read(timeout_s)
        assert found is not None, "the broker closed the connection"
        assert found[0] >> 4 == PUBLISH, f"packet type {found[0] >> 4}, expected a message"
        return _message(*found)

    def take(self, count: int, timeout_s: float = PATIENCE_S) -> list[Message]:
        """Return so many messages, each acknowledged."""
        taken = []
        for _ in range(count):
            taken.append(self.receive(timeout_s))
            self.acknowledge(taken[-1])
        return taken

    def take_some(self, most: int, quiet_s: float) -> list[Message]:
        """Return at most so many messages, each acknowledged, or what comes until it is quiet."""
        taken: list[Message] = []
        while len(taken) < most:
            try:
                taken.append(self.receive(quiet_s))
            except TimeoutError:
                break
            self.acknowledge(taken[-1])
        return taken

    def take_rest(self, least: int = 0, quiet_s: float = _SETTLE_S) -> list[Message]:
        """Return so many messages, and what comes before the broker answers a PING and is quiet.

        Each is acknowledged. The first ones are waited for: the broker's thread may starve.
        """
        taken = self.take(least)
        while True:
            try:
                if not self.messages:
                    self.ping()
                taken.append(self.receive(quiet_s))
            except (TimeoutError, ConnectionError, AssertionError):
                return taken
            self.acknowledge(taken[-1])

    def acknowledge(self, message: Message) -> None:
        if message.qos == 1:
            self.send(packet(PUBACK << 4, uint16(message.packet_id)))
        elif message.qos == 2:
            self.send(packet(PUBREC << 4, uint16(message.packet_id)))
            assert self.expect(PUBREL) == uint16(message.packet_id)
            self.send(packet(PUBCOMP << 4, uint16(message.packet_id)))

    def subscribe(self, *filters: tuple[str, int]) -> list[int]:
        self._packet_id += 1
        self.send(subscribe(*filters, packet_id=self._packet_id))
        body = self.expect(SUBACK)
        assert body[:2] == uint16(self._packet_id)
        return list(body[2:])

    def unsubscribe(self, *filters: str) -> None:
        self._packet_id += 1
        self.send(unsubscribe(*filters, packet_id=self._packet_id))
        assert self.expect(UNSUBACK) == uint16(self._packet_id)

    def publish(
        self, topic: str, payload: bytes = b"", qos: int = 1, *, retain: bool = False
    ) -> None:
        """Publish and, at QoS 1 and 2, wait until that is acknowledged."""
        self._packet_id = self._packet_id % 65_535 + 1
        self.send(publish(topic, payload, qos, retain=retain, packet_id=self._packet_id))
        if qos == 1:
            assert self.expect(PUBACK) == uint16(self._packet_id)
        elif qos:
            assert self.expect(PUBREC) == uint16(self._packet_id)
            self.send(packet(PUBREL << 4 | 2, uint16(self._packet_id)))
            assert self.expect(PUBCOMP) == uint16(self._packet_id)

    def ping(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the broker has dealt with all that was sent before."""
        self.send(PINGREQ)
        self.expect(PINGRESP, timeout_s)

    def is_closed(self, timeout_s: float = PATIENCE_S) -> bool:
        """Whether the broker closes within the time; whatever it still sends is thrown away."""
        deadline_s = time.monotonic() + timeout_s
        try:
            while self.read(max(deadline_s - time.monotonic(), 0.001)) is not None:
                pass
        except TimeoutError:
            return False
        return True

    def disconnect(self) -> None:
        """Say good-bye and wait until the broker has closed."""
        self.send(DISCONNECT)
        assert self.is_closed()
        self.sock.close()

    def reset(self) -> None:
        """Break the connection as a machine does that crashes and answers again (RST)."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def _message(first_byte: int, body: bytes) -> Message:
    qos = first_byte >> 1 & 3
    (length,) = struct.unpack_from(">H", body)
    at = 2 + length
    packet_id = struct.unpack_from(">H", body, at)[0] if qos else 0
    payload = body[at + 2 :] if qos else body[at:]
    return Message(
        body[2:at].decode(), payload, qos, bool(first_byte & 1), bool(first_byte & 8), packet_id
    )
