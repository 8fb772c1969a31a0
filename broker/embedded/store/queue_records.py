"""Conversion between a session's queue and the rows of the store."""

from collections.abc import Sequence

from broker.embedded.outgoing.delivery import Delivery
from broker.embedded.outgoing.entry import Entry
from broker.embedded.packets.model import Publish
from broker.embedded.store.records import StoredMessage
from bus.config.broker_table import BrokerConfig

# Bytes that one client may queue, in packets of the greatest size. Few are that large.
_QUEUE_PACKETS = 32


def new_delivery(settings: BrokerConfig) -> Delivery:
    return Delivery(
        in_flight=settings.in_flight,
        messages=settings.queued_messages,
        size_bytes=_QUEUE_PACKETS * settings.packet_kb * 1024,
    )


def stored(entry: Entry, packet_id: int | None) -> StoredMessage:
    """Return the row of a message; `packet_id` is set where it is in flight."""
    message = entry.message
    return StoredMessage(
        message_id=entry.message_id,
        topic=message.topic,
        payload=message.payload,
        qos=message.qos,
        queued_ms=entry.queued_ms,
        packet_id=packet_id,
        released=entry.is_released,
        retain=message.retain,
        properties=message.properties,
        group=entry.group,
    )


def restore(delivery: Delivery, messages: Sequence[StoredMessage]) -> list[Entry]:
    """Fill an empty queue from its rows; return what has no room any more."""
    dropped = []
    for kept in messages:
        message = Publish(kept.topic, kept.payload, kept.qos, kept.retain, 0, kept.properties)
        entry = Entry(
            message,
            kept.message_id,
            queued_ms=kept.queued_ms,
            is_released=kept.released,
            group=kept.group,
        )
        if kept.packet_id is None:
            dropped += delivery.put(entry)
        else:
            delivery.restore_in_flight(kept.packet_id, entry)
    return dropped
