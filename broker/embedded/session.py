"""Session of one client, connected or not: subscriptions aside, all that MQTT calls its state."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from broker.auth.decisions import TopicDecisions
from broker.auth.gate import Identity, Role, identity_of
from broker.embedded.outgoing.delivery import Delivery
from broker.embedded.outgoing.entry import Entry, Sending
from broker.embedded.packets.model import Publish


class Publisher(msgspec.Struct, frozen=True):
    """The source of a message: the key of a session and its user.

    Without a key it never waits: the broker itself, the hub, a last will, which has `will_of`, the
    key of its session.
    """

    key: str
    user: str
    will_of: str = ""


class Unreleased(msgspec.Struct, frozen=True, gc=False):
    """A message of QoS 2 that was received and not released, and what its PUBREC waits for.

    `content` is a hash of topic and payload; None where it is not known, after a restart.
    """

    waits: Sequence["asyncio.Future[bool]"] = ()
    content: int | None = None


class Link(Protocol):
    """The connection of a session, as far as outgoing messages go."""

    @property
    def most_packet_bytes(self) -> int | None:
        """The size of the largest packet that the client takes; None: any."""

    def send_due(self) -> None:
        """Write what is due, as much as the client takes right now."""

    def reserve(self, entry: Entry) -> int | None:
        """Return the packet id under which a message may be written at once, 0 at QoS 0.

        None: it has to be queued.
        """

    def write(
        self, entry: Entry, packet_id: int, durable: "asyncio.Future[bool] | None" = None
    ) -> None:
        """Write a message under its reserved packet id; one of QoS 2 once its row is `durable`."""

    def overflow(self) -> None:
        """Cut off a client that takes less than comes for it."""


class ClientSession:
    """A session under its key. `is_kept`: it outlives the connection (clean session 0).

    Of MQTT 5, `expiry_s` is the session expiry interval; None: as long as the broker keeps it.
    """

    __slots__ = (
        *("key", "client_id", "identity", "delivery", "publish_decisions", "publisher", "is_kept"),
        *("expiry_s", "link", "left_ms", "unreleased", "progress", "acknowledged_s", "is_unread"),
        *("_room", "_retained"),
    )

    def __init__(  # noqa: PLR0913 - the parts of a session
        self,
        key: str,
        client_id: str,
        identity: Identity,
        delivery: Delivery,
        publish_decisions: TopicDecisions,
        *,
        is_kept: bool,
    ) -> None:
        self.key = key
        self.client_id = client_id
        self.identity = identity
        self.delivery = delivery
        self.publish_decisions = publish_decisions
        self.publisher = Publisher(key, identity.name)
        self.is_kept = is_kept
        self.expiry_s: int | None = None
        # None while the client is not connected.
        self.link: Link | None = None
        # Unix epoch of the end of the last connection; None while the client is connected.
        self.left_ms: int | None = None
        # By packet id, of QoS 2 (method B of section 4.3.3).
        self.unreleased: dict[int, Unreleased] = {}
        # Grows with each message sent and each acknowledgement: whether the client takes anything.
        self.progress = 0
        # Monotonic time of its last acknowledgement.
        self.acknowledged_s = -math.inf
        # While nothing of this client is read, its acknowledgements are not either.
        self.is_unread = False
        self._room: asyncio.Future[bool] | None = None
        self._retained: list[Iterator[Publish | None]] = []

    def has_expired(self, now_ms: int) -> bool:
        """Whether the client was absent for longer than its session expiry interval."""
        if self.left_ms is None or self.expiry_s is None:
            return False
        return now_ms - self.left_ms > self.expiry_s * 1000

    @property
    def is_connected(self) -> bool:
        return self.link is not None

    @property
    def has_waiting(self) -> bool:
        """Whether messages are to be sent before the next one."""
        return self.delivery.has_waiting or bool(self._retained)

    @property
    def is_prompt(self) -> bool:
        """Whether the next message could be sent at once."""
        return not self.has_waiting and self.delivery.has_window

    @property
    def holds_publishers(self) -> bool:
        """Whether publishers wait for room in the queue."""
        return self._room is not None

    def room_for(self, publisher: str) -> "asyncio.Future[bool] | None":
        """Return what `publisher` has to wait for before it goes on; None: nothing.

        Nobody waits for a client whose acknowledgements are not read: it could be waiting itself.
        """
        if self.link is None or self.is_unread or not self.delivery.is_above_share(publisher):
            return None
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def release_publishers(self) -> None:
        """Let the publishers go on where there is room, or nothing to wait for any more."""
        room = self._room
        if room is None:
            return
        if self.link is None or self.is_unread or self.delivery.has_room:
            self._room = None
            room.set_result(True)

    @property
    def pending_subscriptions(self) -> int:
        """The number of subscriptions whose retained messages are still to be sent."""
        return len(self._retained)

    @property
    def is_searching(self) -> bool:
        """Whether `next` has to be called again to find what is to be sent."""
        return bool(self._retained) and self.delivery.has_window

    def send_retained(self, messages: Iterator[Publish | None]) -> None:
        """Send these before what is queued, as fast as the client takes them.

        None among them: others have their turn before the next.
        """
        self._retained.append(messages)

    def next(self) -> Sending | None:
        """Return what to write next.

        None: there is nothing, the window is full, or others have their turn: see `is_searching`.
        """
        if self.delivery.is_resending or not self._retained:
            return self.delivery.next()
        if not self.delivery.has_window:
            return None
        message = self._next_retained()
        if message is None:
            return None if self._retained else self.delivery.next()
        entry = Entry(message)
        return self.delivery.send(entry) if message.qos else Sending(entry, 0)

    def _next_retained(self) -> Publish | None:
        """Return the next message; None: there is none, or not before others had their turn."""
        while self._retained:
            try:
                return next(self._retained[0])
            except StopIteration:
                self._retained.pop(0)
        return None


def identity_of_key(key: str, client_id: str) -> Identity | None:
    """Return the owner of a session: the inverse of `broker.auth.gate.session_key`."""
    role, _, name = key.removesuffix(f":{client_id}").partition(":")
    return identity_of(name, Role(role), client_id) if role in set(Role) else None
