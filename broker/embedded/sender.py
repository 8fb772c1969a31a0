"""Outgoing messages of one connection: from the session's queue to the socket."""

from collections.abc import Callable

from broker.embedded.counters import Counters
from broker.embedded.delivery import Entry, Sending
from broker.embedded.net.connection import Connection
from broker.embedded.packets import writer3
from broker.embedded.session import ClientSession
from broker.embedded.store.queue_records import stored
from broker.embedded.store.store import Store


class Sender:
    """The link of a connected session. `on_overflow` is called once, before the connection ends."""

    def __init__(
        self,
        session: ClientSession,
        connection: Connection,
        store: Store,
        counters: Counters,
        on_overflow: Callable[[], None],
    ) -> None:
        self._session = session
        self._connection = connection
        self._store = store
        self._counters = counters
        self._on_overflow = on_overflow
        self._is_closed = False

    def start(self) -> None:
        """Send what was in flight when the last connection ended, then what is queued."""
        self._session.delivery.resend_in_flight()
        self.send_due()

    def close(self) -> None:
        """Send nothing more. Closing twice is fine."""
        self._is_closed = True

    def send_due(self) -> None:
        """Write what is due, as much as the client takes right now."""
        if self._is_closed:
            return
        if not self._session.has_waiting:
            self._session.release_publishers()
            return
        while not self._connection.is_congested:
            sending = self._session.next()
            if sending is None:
                self._session.release_publishers()
                return
            self._send(sending)
        self._session.release_publishers()
        self._connection.when_drained(self.send_due)

    def reserve(self, entry: Entry) -> int | None:
        """Return the packet id under which a message may be written at once, 0 at QoS 0.

        None: it has to be queued.
        """
        if self._is_closed or self._session.has_waiting or self._connection.is_congested:
            return None
        if not entry.message.qos:
            return 0
        delivery = self._session.delivery
        return delivery.send(entry).packet_id if delivery.has_window else None

    def write(self, entry: Entry, packet_id: int) -> None:
        """Write a message under its reserved packet id."""
        self._session.progress += 1
        self._counters.publish_sent += 1
        self._connection.send(writer3.publish(entry.message, packet_id))

    def overflow(self) -> None:
        """Cut off a client that takes less than comes for it; its session ends with its reading."""
        if not self._is_closed:
            self._is_closed = True
            self._on_overflow()
            self._connection.abort()

    def _send(self, sending: Sending) -> None:
        entry = sending.entry
        self._session.progress += 1
        if sending.packet_id and not sending.dup and entry.message_id:
            # A stored message goes out again under the same packet id, also after a restart.
            self._store.put_message(self._session.key, stored(entry, sending.packet_id))
        self._counters.publish_sent += 1
        self._connection.send(writer3.publish(entry.message, sending.packet_id, dup=sending.dup))
