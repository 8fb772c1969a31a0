"""Codec: the reader and the writer of a connection, for its version of MQTT."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from broker.embedded.packets.model import (
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    PacketType,
    Properties,
    Publish,
    Subscribe,
    Unsubscribe,
)
from broker.embedded.packets.reader3 import Reader3
from broker.embedded.packets.reader5 import Reader5
from broker.embedded.packets.writer3 import Writer3
from broker.embedded.packets.writer5 import Writer5

# For clients, MQTT 3.1 differs from 3.1.1 in the CONNECT alone.
VERSION_3_1 = 3
VERSION_3_1_1 = 4
VERSION_5 = 5
# Topic aliases of a client, as many as with Mosquitto, and of the broker towards a client.
CLIENT_ALIASES = 10
_ALIASES = 64
# Messages of QoS 1 and 2 that a client may send before one of them is acknowledged.
RECEIVE_MAXIMUM = 1_000


class Reader(Protocol):
    """Decoder of the packets of one connection. Methods raise ViolationError."""

    def publish(self, first_byte: int, data: bytes, /) -> Publish: ...

    def acknowledgement(self, kind: int, data: bytes, /) -> Acknowledgement: ...

    def subscribe(self, data: bytes, /) -> Subscribe: ...

    def unsubscribe(self, data: bytes, /) -> Unsubscribe: ...

    def disconnect(self, data: bytes, /) -> Disconnect: ...


class Writer(Protocol):
    """Encoder of the packets to one connection."""

    @property
    def most_bytes(self) -> int | None:
        """The size of the largest packet that the client takes; None: any."""

    def connack(self, connack: Connack, /) -> bytes:
        """Return a CONNACK; empty where the client does not take so large a packet."""

    def publish(self, message: Publish, packet_id: int = 0, /, *, dup: bool = False) -> bytes:
        """Return a PUBLISH; empty where the client does not take so large a packet."""

    def acknowledgement(self, kind: PacketType, packet_id: int, reason: int = 0, /) -> bytes: ...

    def suback(self, packet_id: int, codes: Sequence[int], /) -> bytes:
        """Return a SUBACK; empty where the client does not take so large a packet."""

    def unsuback(self, packet_id: int, codes: Sequence[int], /) -> bytes:
        """Return an UNSUBACK; empty where the client does not take so large a packet."""

    def pingresp(self) -> bytes: ...

    def disconnect(self, reason: int, text: str = "", /) -> bytes | None:
        """Return a DISCONNECT; None where the version has none of the broker."""


class Codec(msgspec.Struct, frozen=True):
    """Both directions of one connection."""

    version: int
    reader: Reader
    writer: Writer


def codec_for(connect: Connect) -> Codec:
    """Return the codec of a client's version."""
    if connect.version == VERSION_5:
        return Codec(VERSION_5, Reader5(CLIENT_ALIASES), _writer5(connect.properties))
    return Codec(VERSION_3_1_1, Reader3(is_bridge=connect.is_bridge), Writer3())


def _writer5(properties: Properties) -> Writer5:
    return Writer5(
        min(_ALIASES, properties.topic_alias_maximum or 0),
        most_bytes=properties.maximum_packet_bytes,
        tells_problems=properties.request_problem,
    )
