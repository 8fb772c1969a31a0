"""What the broker knows of one client, connected or not."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from amqtt.session import Session
from transitions import Machine

from broker.auth.gate import Identity
from broker.embedded.delivery import Delivery, Entry, Sending
from broker.embedded.packets.decode import Publish

if TYPE_CHECKING:
    from broker.embedded.handler import Handler


class _NoMachine:
    """Stands for amqtt's state machine, 20 KB a session: `ClientSession.handler` is the state."""

    state = "new"


_NO_MACHINE = cast("Machine", _NoMachine())


class ClientSession(Session):
    """A session under its key. `is_kept`: it outlives the connection (clean session 0)."""

    def __init__(
        self, key: str, client_id: str, identity: Identity, delivery: Delivery, *, is_kept: bool
    ) -> None:
        super().__init__()
        # `delivery` is used in their place.
        del self.retained_messages, self.delivered_message_queue
        del self.inflight_in, self.inflight_out
        self.client_id = client_id
        self.clean_session = not is_kept
        self.username = identity.name
        self.key = key
        self.identity = identity
        self.delivery = delivery
        self.is_kept = is_kept
        # The connection that has it now. All else of the session is the same without one.
        self.handler: Handler | None = None
        # Unix epoch, while there is no connection.
        self.left_ms: int | None = None
        # Ids of messages of QoS 2 that came and were not released: method B of section 4.3.3.
        self.unreleased: set[int] = set()
        self._retained: deque[Iterator[Publish]] = deque()

    # amqtt compares sessions by client id, which two users may share.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash(self.key)

    def _init_states(self) -> None:
        self.transitions = _NO_MACHINE

    @property
    def backlog(self) -> int:
        """How many subscriptions wait for their retained messages to be sent."""
        return len(self._retained)

    def send_retained(self, messages: Iterator[Publish]) -> None:
        """Send these before what waits, as fast as the client takes them."""
        self._retained.append(messages)

    def next(self) -> Sending | None:
        """Return what to write next, None where there is nothing or the window is full."""
        if self.delivery.is_rewound or not self._retained:
            return self.delivery.next()
        if not self.delivery.has_window:
            return None
        message = self._next_retained()
        if message is None:
            return self.delivery.next()
        entry = Entry(message)
        return self.delivery.send(entry) if message.qos else Sending(entry, 0)

    def _next_retained(self) -> Publish | None:
        while self._retained:
            message = next(self._retained[0], None)
            if message is not None:
                return message
            self._retained.popleft()
        return None
