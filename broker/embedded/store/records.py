"""Records of the store: queued messages, sessions, last wills, and the contents of the file."""

import msgspec

from broker.embedded.packets.model import NO_PROPERTIES, Properties, Will
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message queued for one session. Ids grow in the order of delivery.

    `packet_id` is set while it is in flight; it is sent again under the same id. `released`: at QoS
    2 its receiver has it, and only the end of the handshake is to come; it has no payload then.
    """

    message_id: int
    topic: str
    payload: bytes
    qos: int
    queued_ms: int
    retain: bool = False
    packet_id: int | None = None
    released: bool = False
    properties: Properties = NO_PROPERTIES
    # The shared subscription through which it came, if any.
    group: str = ""

    @property
    def size_bytes(self) -> int:
        size = len(self.topic.encode()) + len(self.payload)
        return size if self.properties is NO_PROPERTIES else size + self.properties.size_bytes


class StoredSession(msgspec.Struct):
    """A kept session. `left_ms`: end of its last connection; None while it is connected.

    `expiry_s`: the session expiry interval of MQTT 5; None: as long as the broker keeps it.
    """

    client_id: str
    left_ms: int | None
    expiry_s: int | None = None
    subscriptions: dict[str, Grant] = {}
    # In the order of delivery.
    messages: list[StoredMessage] = []
    # Packet ids of incoming messages of QoS 2 that were passed on and not released.
    unreleased: set[int] = set()


class StoredWill(msgspec.Struct, frozen=True):
    """The last will of a session, kept or not. `due_ms` (Unix epoch): it waits for its delay.

    None: its client is connected.
    """

    client_id: str
    will: Will
    due_ms: int | None = None


class Contents(msgspec.Struct):
    """All records of the file; sessions and wills by the key of the session."""

    retained: list[Retained] = []
    sessions: dict[str, StoredSession] = {}
    wills: dict[str, StoredWill] = {}
