"""Statistics of the broker: averages of its counters, and one snapshot of all figures.

It knows no client and no clock: the caller hands over the figures and the time.
"""

import math

import msgspec

from broker.embedded.counters import Counters
from bus.config.broker_table import BrokerConfig
from bus.install.version import VERSION

AVERAGES_MIN = (1, 5, 15)
# The [broker] table begins with addresses and access; from this key on, it has limits.
_FIRST_LIMIT = "packet_kb"
# The name of an average, and the counter whose growth it is.
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


class Gauges(msgspec.Struct, frozen=True, kw_only=True):
    """Present figures of the broker."""

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
    """`total`: connected, or with a session that is kept. `maximum`: connected at the same time."""

    connected: int
    disconnected: int
    total: int
    maximum: int
    expired: int


class Messages(msgspec.Struct, frozen=True):
    """Packets of every type; `stored` are retained or queued for a client."""

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
    """What is kept. `failures`: commits that the disk refused."""

    retained_messages: int
    retained_bytes: int
    queued_messages: int
    queued_bytes: int
    sessions: int
    failures: int


class Averages(msgspec.Struct, frozen=True):
    """Events a minute: moving averages over the last 1, 5 and 15 minutes."""

    one: float
    five: float
    fifteen: float


class BrokerSnapshot(msgspec.Struct, frozen=True):
    """All figures of the broker, as `GET /api/broker` returns them."""

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
    """Counters of one broker and their averages. For one thread."""

    def __init__(self, settings: BrokerConfig, started_s: float) -> None:
        """`started_s` and every `now_s`: seconds of a monotonic clock."""
        self.counters = Counters()
        self._started_s = started_s
        self._averaged_s = started_s
        self._limits = limits_of(settings)
        self._before = dict.fromkeys(_LOADS, 0)
        self._load = {name: (0.0,) * len(AVERAGES_MIN) for name in _LOADS}

    def update_averages(self, now_s: float) -> None:
        """Update the averages; call it every `sys_interval_s`."""
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
                for minutes, last in zip(AVERAGES_MIN, self._load[name], strict=True)
            )

    def snapshot(self, gauges: Gauges, now_s: float) -> BrokerSnapshot:
        """Return all figures at one moment."""
        n = self.counters
        kept = gauges.queued_messages + gauges.retained_messages
        return BrokerSnapshot(
            version=VERSION,
            uptime_s=round(now_s - self._started_s, 3),
            clients=Clients(
                gauges.connected,
                gauges.disconnected,
                gauges.connected + gauges.disconnected,
                n.clients_maximum,
                n.clients_expired,
            ),
            messages=Messages(n.messages_received, n.messages_sent, kept, gauges.in_flight),
            publish=Publishes(n.publish_received, n.publish_sent, n.publish_dropped),
            bytes=Traffic(n.bytes_received, n.bytes_sent),
            subscriptions=gauges.subscriptions,
            stored=Stored(
                gauges.retained_messages,
                gauges.retained_bytes,
                gauges.queued_messages,
                gauges.queued_bytes,
                gauges.stored_sessions,
                gauges.store_failures,
            ),
            load={name: Averages(*values) for name, values in self._load.items()},
            limits=self._limits,
            refused={str(cause): count for cause, count in n.refused.items()},
        )


def limits_of(settings: BrokerConfig) -> dict[str, float]:
    """Return the limits of the broker, by key of the [broker] table."""
    keys = [field.name for field in msgspec.structs.fields(settings)]
    return {key: getattr(settings, key) for key in keys[keys.index(_FIRST_LIMIT) :]}
