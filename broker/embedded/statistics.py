"""What the broker did and holds: counted, averaged, and told as `$SYS` topics and as one Struct.

It knows no client and no clock: whoever counts hands over the figures and the time. The topics
read like Mosquitto's (mosquitto(8), "Broker status"); those under `limits` and `refused` are ours.
"""

import enum
import math
from collections.abc import Iterator

import msgspec

from bus.config.broker_table import BrokerConfig
from bus.version import VERSION

PREFIX = "$SYS/broker/"
_AVERAGES_MIN = (1, 5, 15)
# The [broker] table begins with where the broker is and who may come in; bounds follow.
_FIRST_LIMIT = "packet_kb"


class Refusal(enum.StrEnum):
    """Why a client or a message was turned away."""

    LOGIN = "login"
    CONNECTIONS = "connections"
    ADDRESS = "connections_per_address"
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
    SESSIONS = "sessions"


class Counters(msgspec.Struct):
    """What only ever grows, since the broker started. `messages` are packets of every type."""

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


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker has right now."""

    connected: int = 0
    disconnected: int = 0
    subscriptions: int = 0
    in_flight: int = 0
    queued_messages: int = 0
    queued_bytes: int = 0
    retained_messages: int = 0
    retained_bytes: int = 0
    stored_sessions: int = 0
    store_failures: int = 0


class Clients(msgspec.Struct, frozen=True):
    """`total`: connected ones and those whose session is kept. `maximum` were connected at once."""

    connected: int
    disconnected: int
    total: int
    maximum: int
    expired: int


class Messages(msgspec.Struct, frozen=True):
    """Packets of every type; `stored` are retained or wait for a client."""

    received: int
    sent: int
    stored: int
    in_flight: int


class Publishes(msgspec.Struct, frozen=True):
    received: int
    sent: int
    dropped: int


class Traffic(msgspec.Struct, frozen=True):
    received: int
    sent: int


class Stored(msgspec.Struct, frozen=True):
    """What is kept. `failures` counts commits that the disk refused."""

    retained_messages: int
    retained_bytes: int
    queued_messages: int
    queued_bytes: int
    sessions: int
    failures: int


class Averages(msgspec.Struct, frozen=True):
    """How many a minute, over the last 1, 5 and 15 minutes, weighted towards now."""

    one: float
    five: float
    fifteen: float


class BrokerSnapshot(msgspec.Struct, frozen=True):
    """The whole state of the broker in figures, as `GET /api/broker` gives it."""

    version: str
    uptime_s: float
    clients: Clients
    messages: Messages
    publish: Publishes
    bytes: Traffic
    subscriptions: int
    stored: Stored
    load: dict[str, Averages]
    # The keys of the [broker] table and their values.
    limits: dict[str, float]
    refused: dict[str, int]


class Statistics:
    """The counters of one broker, their averages, and the snapshot of all. For one thread."""

    def __init__(self, settings: BrokerConfig, started_s: float) -> None:
        """`started_s` and every `now_s`: seconds of a monotonic clock."""
        self.counters = Counters()
        self._started_s = started_s
        self._averaged_s = started_s
        self._limits = limits_of(settings)
        self._before = dict.fromkeys(_LOADS, 0)
        self._load = {name: (0.0,) * len(_AVERAGES_MIN) for name in _LOADS}

    def average(self, now_s: float) -> None:
        """Bring the averages up to date; call it every `sys_interval_s`."""
        elapsed_s = now_s - self._averaged_s
        if elapsed_s <= 0:
            return
        self._averaged_s = now_s
        for name, counter in _LOADS.items():
            count = int(getattr(self.counters, counter))
            per_minute = (count - self._before[name]) * 60 / elapsed_s
            self._before[name] = count
            self._load[name] = tuple(
                per_minute + math.exp(-elapsed_s / (60 * minutes)) * (last - per_minute)
                for minutes, last in zip(_AVERAGES_MIN, self._load[name], strict=True)
            )

    def snapshot(self, held: Holdings, now_s: float) -> BrokerSnapshot:
        n = self.counters
        kept = held.queued_messages + held.retained_messages
        return BrokerSnapshot(
            version=VERSION,
            uptime_s=round(now_s - self._started_s, 3),
            clients=Clients(
                held.connected,
                held.disconnected,
                held.connected + held.disconnected,
                n.clients_maximum,
                n.clients_expired,
            ),
            messages=Messages(n.messages_received, n.messages_sent, kept, held.in_flight),
            publish=Publishes(n.publish_received, n.publish_sent, n.publish_dropped),
            bytes=Traffic(n.bytes_received, n.bytes_sent),
            subscriptions=held.subscriptions,
            stored=Stored(
                held.retained_messages,
                held.retained_bytes,
                held.queued_messages,
                held.queued_bytes,
                held.stored_sessions,
                held.store_failures,
            ),
            load={name: Averages(*values) for name, values in self._load.items()},
            limits=self._limits,
            refused={str(cause): count for cause, count in n.refused.items()},
        )


def limits_of(settings: BrokerConfig) -> dict[str, float]:
    """Return what bounds the broker, by key of the [broker] table."""
    keys = [field.name for field in msgspec.structs.fields(settings)]
    return {key: getattr(settings, key) for key in keys[keys.index(_FIRST_LIMIT) :]}


def sys_topics(snapshot: BrokerSnapshot) -> dict[str, bytes]:
    """Return every `$SYS` topic and its payload, to be published retained at QoS 0."""
    return {PREFIX + name: text.encode() for name, text in _told(snapshot)}


def _told(snapshot: BrokerSnapshot) -> Iterator[tuple[str, str]]:
    # Mosquitto appends the unit, and its users cut it off.
    yield "uptime", f"{snapshot.uptime_s:.0f} seconds"
    yield "version", f"harvester version {snapshot.version}"
    for name, path in _FIGURES.items():
        value: object = snapshot
        for attribute in path.split("."):
            value = getattr(value, attribute)
        yield name, str(value)
    for name, averages in snapshot.load.items():
        for minutes, average in zip(_AVERAGES_MIN, msgspec.structs.astuple(averages), strict=True):
            yield f"load/{name}/{minutes}min", f"{average:.2f}"
    for group, figures in (("limits", snapshot.limits), ("refused", snapshot.refused)):
        for name, figure in figures.items():
            yield f"{group}/{name}", f"{figure:g}" if isinstance(figure, float) else str(figure)


# The topic below `$SYS/broker/`, and where the snapshot has it.
_FIGURES = {
    "clients/connected": "clients.connected",
    "clients/disconnected": "clients.disconnected",
    "clients/total": "clients.total",
    "clients/maximum": "clients.maximum",
    "clients/expired": "clients.expired",
    "messages/received": "messages.received",
    "messages/sent": "messages.sent",
    "messages/stored": "messages.stored",
    "messages/inflight": "messages.in_flight",
    "publish/messages/received": "publish.received",
    "publish/messages/sent": "publish.sent",
    "publish/messages/dropped": "publish.dropped",
    "bytes/received": "bytes.received",
    "bytes/sent": "bytes.sent",
    "subscriptions/count": "subscriptions",
    "retained messages/count": "stored.retained_messages",
    "retained messages/bytes": "stored.retained_bytes",
    "store/messages/count": "stored.queued_messages",
    "store/messages/bytes": "stored.queued_bytes",
    "store/sessions/count": "stored.sessions",
    "store/failures": "stored.failures",
}
# The average below `$SYS/broker/load/`, and the counter whose growth it is.
_LOADS = {
    "connections": "connections",
    "sockets": "sockets",
    "messages/received": "messages_received",
    "messages/sent": "messages_sent",
    "publish/received": "publish_received",
    "publish/sent": "publish_sent",
    "publish/dropped": "publish_dropped",
    "bytes/received": "bytes_received",
    "bytes/sent": "bytes_sent",
}
