"""What the store keeps, as it is put and as it is loaded."""

import msgspec

from broker.embedded.topics.retained import Retained


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message that waits for one session. Ids grow in the order of delivery.

    `packet_id` is set once it was sent and not acknowledged; it is sent again under the same.
    """

    message_id: int
    topic: str
    payload: bytes
    qos: int
    queued_ms: int
    retain: bool = False
    packet_id: int | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.topic.encode()) + len(self.payload)


class StoredSession(msgspec.Struct):
    """What outlives a client's connection. `left_ms`: when it went, None while it is here."""

    client_id: str
    left_ms: int | None
    subscriptions: dict[str, int] = {}
    # In the order of delivery.
    messages: list[StoredMessage] = []


class Contents(msgspec.Struct):
    """Everything in the file; sessions by their key."""

    retained: list[Retained] = []
    sessions: dict[str, StoredSession] = {}
