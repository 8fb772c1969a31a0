"""Counters of the broker, and the reasons for which it refuses clients and messages."""

import enum

import msgspec


class Refusal(enum.StrEnum):
    """The reason for which a client or a message was refused."""

    LOGIN = "login"
    CONNECTIONS = "connections"
    ADDRESS = "connections_per_address"
    LOGINS = "logins_per_address"
    CONNECT_TIMEOUT = "connect_timeout"
    KEEP_ALIVE = "keep_alive"
    MALFORMED = "malformed"
    PACKET_SIZE = "packet_size"
    TOPIC = "topic"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    SUBSCRIPTIONS = "subscriptions"
    QUEUE = "queue"
    RETAINED = "retained"
    QOS = "qos"
    SESSIONS = "sessions"


class Counters(msgspec.Struct):
    """Totals since the broker started. `messages` are packets of every type."""

    sockets: int = 0
    connections: int = 0
    messages_received: int = 0
    messages_sent: int = 0
    publish_received: int = 0
    publish_sent: int = 0
    publish_dropped: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    clients_maximum: int = 0
    clients_expired: int = 0
    refused: dict[Refusal, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Refusal, 0))

    def refuse(self, cause: Refusal) -> None:
        self.refused[cause] += 1
