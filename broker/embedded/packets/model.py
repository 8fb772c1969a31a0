"""MQTT packets as data, the same for every version of the protocol.

Readers decode packets into these, writers encode them; see `codec`. Clauses are those of the OASIS
standard of MQTT 3.1.1 of 29 October 2014.
"""

import enum

import msgspec

from bus.errors import BadDataError


class ViolationError(BadDataError):
    """A violation of the protocol, which ends the client's connection."""


class UnsupportedVersionError(ViolationError):
    """A CONNECT of another version of MQTT (MQTT-3.1.2-2)."""


class TooLargeError(ViolationError):
    """A packet above the size limit."""


class PacketType(enum.IntEnum):
    """The packet types, section 2.2.1."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ConnackCode(enum.IntEnum):
    """CONNACK return codes, section 3.2.2.3."""

    ACCEPTED = 0
    VERSION = 1
    IDENTIFIER = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


SUBSCRIPTION_FAILED = 0x80


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A packet as it arrives: its type, its first byte with the flags, and its body."""

    kind: int
    first_byte: int
    body: bytes


class Will(msgspec.Struct, frozen=True):
    """The last will in a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNECT. `keep_alive_s` 0: none. `repr` omits the password."""

    client_id: str
    clean_session: bool
    keep_alive_s: int
    will: Will | None
    username: str | None
    password: bytes | None

    def __repr__(self) -> str:
        return f"Connect({self.client_id!r}, {self.username!r})"


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH. `packet_id` 0: QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int


class Subscribe(msgspec.Struct, frozen=True):
    """A SUBSCRIBE: topic filters with the requested QoS."""

    packet_id: int
    filters: list[tuple[str, int]]


class Unsubscribe(msgspec.Struct, frozen=True):
    """An UNSUBSCRIBE: topic filters."""

    packet_id: int
    filters: list[str]
