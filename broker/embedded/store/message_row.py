"""Row of a queued message in the store's file."""

from broker.embedded.packets.properties import encode_properties
from broker.embedded.store.file import Row
from broker.embedded.store.records import StoredMessage


def row_of(key: str, message: StoredMessage) -> Row:
    """Return the row of a message for the session with that key."""
    return (
        message.message_id,
        key,
        message.topic,
        message.payload,
        message.qos,
        int(message.retain),
        message.packet_id,
        message.queued_ms,
        int(message.released),
        encode_properties(message.properties),
        message.group,
    )
