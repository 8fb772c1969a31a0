"""MQTT packets as data, the same for every version of the protocol.

Readers decode packets into these, writers encode them; see `codec`. Clauses are those of the OASIS
standard of MQTT 3.1.1 of 29 October 2014.
"""

import enum
import math

import msgspec

from bus.errors import BadDataError


class ReasonCode(enum.IntEnum):
    """Reason codes of MQTT 5, section 2.4. A SUBACK has the granted QoS in their place."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_ID_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B


class ViolationError(BadDataError):
    """A violation of the protocol, which ends the client's connection.

    `reason` is what a client of MQTT 5 is told; None: nothing.
    """

    def __init__(self, text: str, reason: ReasonCode | None = ReasonCode.MALFORMED_PACKET) -> None:
        super().__init__(text)
        self.reason = reason


class UnsupportedVersionError(ViolationError):
    """A CONNECT of another version of MQTT (MQTT-3.1.2-2), of protocol level `level`."""

    def __init__(self, text: str, level: int) -> None:
        super().__init__(text, ReasonCode.UNSUPPORTED_VERSION)
        self.level = level


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
    # Of MQTT 5 alone: a method of enhanced authentication.
    METHOD = 6


class Properties(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Properties of an MQTT 5 packet of any type; None: absent."""

    payload_format: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    session_expiry_s: int | None = None
    assigned_client_id: str | None = None
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem: int | None = None
    will_delay_s: int | None = None
    request_response: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    maximum_packet_bytes: int | None = None
    wildcard_available: int | None = None
    subscription_ids_available: int | None = None
    shared_available: int | None = None
    subscription_ids: tuple[int, ...] = ()
    user: tuple[tuple[str, str], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size that a message's properties count for in the limits of queues and stores."""
        texts = (self.content_type, self.response_topic, self.correlation_data)
        size = sum(len(text) for text in texts if text)
        size += sum(_PAIR_BYTES + len(name) + len(value) for name, value in self.user)
        return size + _NUMBER_BYTES * len(self.subscription_ids)


# What a pair of texts, beside their letters, and a number take in memory, about.
_PAIR_BYTES = 160
_NUMBER_BYTES = 8

NO_PROPERTIES = Properties()


def aged(properties: Properties, age_ms: int) -> Properties | None:
    """Return the properties of a message after a time in a queue; None: it has expired.

    Its expiry interval is less by that time (MQTT-3.3.2-6).
    """
    expiry_s = properties.message_expiry_s
    if expiry_s is None:
        return properties
    left_ms = expiry_s * 1000 - max(age_ms, 0)
    if left_ms <= 0:
        return None
    return msgspec.structs.replace(properties, message_expiry_s=math.ceil(left_ms / 1000))


def with_ids(properties: Properties, ids: tuple[int, ...]) -> Properties:
    """Return the properties of a message with other subscription identifiers."""
    if properties.subscription_ids == ids:
        return properties
    return msgspec.structs.replace(properties, subscription_ids=ids)


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
    properties: Properties = NO_PROPERTIES


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """A CONNECT. `keep_alive_s` 0: none. `repr` omits the password.

    `version` is the protocol level: 3 of MQTT 3.1, 4 of MQTT 3.1.1, 5 of MQTT 5. `clean_session` is
    the clean start of MQTT 5. `is_bridge`: it has the bit by which Mosquitto's bridges say so.
    """

    client_id: str
    clean_session: bool
    keep_alive_s: int
    will: Will | None
    username: str | None
    password: bytes | None
    version: int = 4
    is_bridge: bool = False
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:
        return f"Connect({self.client_id!r}, {self.username!r})"


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH. `packet_id` 0: QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int
    properties: Properties = NO_PROPERTIES

    @property
    def size_bytes(self) -> int:
        """Size of topic, payload and properties in the limits of queues and stores."""
        size = len(self.topic) + len(self.payload)
        return size if self.properties is NO_PROPERTIES else size + self.properties.size_bytes


class Acknowledgement(msgspec.Struct, frozen=True, gc=False):
    """A PUBACK, PUBREC, PUBREL or PUBCOMP."""

    packet_id: int
    reason: int = ReasonCode.SUCCESS


class Filter(msgspec.Struct, frozen=True):
    """A topic filter of a SUBSCRIBE, with the requested QoS and the options of MQTT 5.

    `retain_handling`: retained messages are sent always (0), for a new subscription (1), never (2).
    """

    text: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    """A SUBSCRIBE. `subscription_id` 0: none."""

    packet_id: int
    filters: list[Filter]
    subscription_id: int = 0


class Unsubscribe(msgspec.Struct, frozen=True):
    """An UNSUBSCRIBE: topic filters."""

    packet_id: int
    filters: list[str]


class Disconnect(msgspec.Struct, frozen=True):
    """A DISCONNECT of a client."""

    reason: int = ReasonCode.SUCCESS
    session_expiry_s: int | None = None


class Connack(msgspec.Struct, frozen=True):
    """A CONNACK with the code of 3.1.1; a writer of MQTT 5 translates it."""

    code: ConnackCode
    session_present: bool = False
    properties: Properties = NO_PROPERTIES
    # What a client of MQTT 5 is told in place of what `code` says.
    reason: ReasonCode | None = None
