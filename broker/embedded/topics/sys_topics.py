"""`$SYS` topics: the broker's figures as retained messages.

They read like those of Mosquitto (mosquitto(8), "Broker status"); `limits` and `refused` are ours.
"""

import re
from collections.abc import Iterator

import msgspec

from broker.embedded.statistics import AVERAGES_MIN, BrokerSnapshot

PREFIX = "$SYS/broker/"
_BRIDGE_STATE = re.compile(r"\$SYS/broker/connection/[^/]+/state\Z")
# The topic below `$SYS/broker/`, and the attribute of the snapshot.
_TOPICS = {
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


def sys_topics(snapshot: BrokerSnapshot) -> dict[str, bytes]:
    """Return every `$SYS` topic and its payload, to be published retained at QoS 0."""
    return {PREFIX + name: text.encode() for name, text in _texts(snapshot)}


def _texts(snapshot: BrokerSnapshot) -> Iterator[tuple[str, str]]:
    # With the unit, as Mosquitto writes it.
    yield "uptime", f"{snapshot.uptime_s:.0f} seconds"
    yield "version", f"harvester version {snapshot.version}"
    for name, path in _TOPICS.items():
        value: object = snapshot
        for attribute in path.split("."):
            value = getattr(value, attribute)
        yield name, str(value)
    for name, averages in snapshot.load.items():
        for minutes, average in zip(AVERAGES_MIN, msgspec.structs.astuple(averages), strict=True):
            yield f"load/{name}/{minutes}min", f"{average:.2f}"
    for group, figures in (("limits", snapshot.limits), ("refused", snapshot.refused)):
        for name, figure in figures.items():
            yield f"{group}/{name}", f"{figure:g}" if isinstance(figure, float) else str(figure)


def is_free_topic(topic: str) -> bool:
    """Whether a topic is not the broker's own, as all are that begin with `$`.

    Mosquitto, as a bridge, publishes to one of these that it is connected.
    """
    return topic[0] != "$" or _BRIDGE_STATE.match(topic) is not None
