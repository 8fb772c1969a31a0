"""Entry of a session's queue: a message for one client, and what is written of it next."""

import math

import msgspec

from broker.embedded.packets.model import Publish, aged


class Entry(msgspec.Struct, gc=False):
    """A message for one client. `message_id`: its id in the store, 0 where it is not stored."""

    message: Publish
    message_id: int = 0
    # Unix epoch; 0 where it is sent at once.
    queued_ms: int = 0
    # Its number in the order of arrival.
    position: int = 0
    # The key of the session that published it; empty for the broker itself.
    publisher: str = ""
    # At QoS 2: its receiver has it, and only the end of the handshake is to come.
    is_released: bool = False
    # The shared subscription through which it came, if any.
    group: str = ""

    @property
    def size_bytes(self) -> int:
        return self.message.size_bytes

    @property
    def expiry_ms(self) -> float:
        """When it expires: Unix epoch, infinite where it does not."""
        expiry_s = self.message.properties.message_expiry_s
        return math.inf if expiry_s is None else self.queued_ms + expiry_s * 1000

    def aged(self, now_ms: int) -> Publish | None:
        """Return the message with what is left of its expiry interval; None: it has expired."""
        if not self.queued_ms:
            return self.message
        properties = aged(self.message.properties, now_ms - self.queued_ms)
        if properties is None:
            return None
        if properties is self.message.properties:
            return self.message
        return msgspec.structs.replace(self.message, properties=properties)


class Sending(msgspec.Struct, frozen=True, gc=False):
    """A message to write now, or the PUBREL of one that is released. `packet_id` 0: QoS 0."""

    entry: Entry
    packet_id: int
    dup: bool = False
