"""A session's queue as the store keeps it, and back."""

from collections.abc import Sequence

from broker.embedded.delivery import Delivery, Entry
from broker.embedded.packets.decode import Publish
from broker.embedded.store.records import StoredMessage
from bus.config.broker_table import BrokerConfig

# A client's share of memory, in packets of the greatest size. What waits is seldom that large.
_QUEUE_PACKETS = 32


def new_delivery(settings: BrokerConfig) -> Delivery:
    return Delivery(
        in_flight=settings.in_flight,
        messages=settings.queued_messages,
        size_bytes=_QUEUE_PACKETS * settings.packet_kb * 1024,
    )


def stored(entry: Entry, packet_id: int | None) -> StoredMessage:
    """Return what the store keeps of a message; `packet_id` where it is in flight."""
    message = entry.message
    return StoredMessage(
        message_id=entry.row,
        topic=message.topic,
        payload=message.payload,
        qos=message.qos,
        queued_ms=entry.queued_ms,
        packet_id=packet_id,
    )


def restore(delivery: Delivery, messages: Sequence[StoredMessage]) -> list[Entry]:
    """Fill an empty queue with what the store had of it; return what found no room any more."""
    given_up = []
    for kept in messages:
        message = Publish(kept.topic, kept.payload, kept.qos, kept.retain, 0)
        entry = Entry(message, kept.message_id, kept.queued_ms)
        if kept.packet_id is None:
            given_up += delivery.put(entry)
        else:
            delivery.put_in_flight(kept.packet_id, entry)
    return given_up
