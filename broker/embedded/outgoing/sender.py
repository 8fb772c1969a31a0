"""Outgoing messages of one connection: from the session's queue to the socket."""

import asyncio
from collections.abc import Callable

from broker.embedded.counters import Counters
from broker.embedded.net.connection import Connection
from broker.embedded.outgoing.entry import Entry, Sending
from broker.embedded.packets.codec import Writer
from broker.embedded.packets.model import NO_PROPERTIES, PacketType, ReasonCode
from broker.embedded.session import ClientSession
from broker.embedded.store.queue_records import stored
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable
from bus.clock import now_ms


class Sender:
    """The link of a connected session. `on_overflow` is called once, before the connection ends."""

    __slots__ = (
        *("_session", "_connection", "_writer", "_store", "_counters", "_on_overflow"),
        *("_is_closed", "_is_held", "_loop", "_is_searching", "_unwritten"),
    )

    def __init__(  # noqa: PLR0913 - one connection brings all of them together
        self,
        session: ClientSession,
        connection: Connection,
        writer: Writer,
        *,
        store: Store,
        counters: Counters,
        on_overflow: Callable[[], None],
    ) -> None:
        self._session = session
        self._connection = connection
        self._writer = writer
        self._store = store
        self._counters = counters
        self._on_overflow = on_overflow
        self._is_closed = False
        self._is_held = False
        self._loop = asyncio.get_running_loop()
        # The search for retained messages goes on in the next round of the loop.
        self._is_searching = False
        # Packets of QoS 2, with the row that each of them waits for.
        self._unwritten: list[tuple[Durable | None, bytes]] = []

    @property
    def most_packet_bytes(self) -> int | None:
        """The size of the largest packet that the client takes; None: any."""
        return self._writer.most_bytes

    def start(self) -> None:
        """Send what was in flight when the last connection ended, then what is queued."""
        self._session.delivery.resend_in_flight()
        self.send_due()

    def close(self) -> None:
        """Send nothing more. Closing twice is fine."""
        self._is_closed = True
        self._unwritten.clear()

    def hold(self) -> None:
        """Queue what comes until `go_on`."""
        self._is_held = True

    def go_on(self) -> None:
        """Send again, first what was queued meanwhile."""
        self._is_held = False
        self.send_due()

    def send_due(self) -> None:
        """Write what is due, as much as the client takes right now."""
        if self._is_closed or self._is_held:
            return
        if not self._session.has_waiting:
            self._session.release_publishers()
            return
        while not self._connection.is_congested:
            sending = self._session.next()
            if sending is None:
                self._session.release_publishers()
                self._search_on()
                return
            self._send(sending)
        self._session.release_publishers()
        self._connection.when_drained(self.send_due)

    def _search_on(self) -> None:
        """Send on after the others' turn, where that is what it waits for."""
        if self._session.is_searching and not self._is_searching:
            self._is_searching = True
            self._loop.call_soon(self._send_found)

    def _send_found(self) -> None:
        self._is_searching = False
        self.send_due()

    def reserve(self, entry: Entry) -> int | None:
        """Return the packet id under which a message may be written at once, 0 at QoS 0.

        None: it has to be queued.
        """
        if self._is_closed or self._is_held:
            return None
        if self._session.has_waiting or self._connection.is_congested:
            return None
        if not entry.message.qos:
            return 0
        delivery = self._session.delivery
        return delivery.put_in_flight(entry) if delivery.has_window else None

    def write(self, entry: Entry, packet_id: int, durable: Durable | None = None) -> None:
        """Write a message under its reserved packet id; one of QoS 2 once its row is `durable`."""
        self._session.progress += 1
        packet = self._writer.publish(entry.message, packet_id)
        if not packet:
            self._discard(entry, packet_id)
            return
        self._counters.publish_sent += 1
        if durable is None or entry.message.qos != 2:
            self._connection.send(packet)
        else:
            self._send_once(durable, packet)

    def release(self, packet_id: int) -> None:
        """Answer a PUBREC once it is on the disk: a message that was received is not sent again."""
        entry = self._session.delivery.release(packet_id)
        durable = None if entry is None else self._put(entry, packet_id)
        delivery = self._session.delivery
        if len(self._unwritten) > 2 * max(delivery.window, delivery.in_flight):
            # More than a PUBLISH and a PUBREL for each: it sends the same PUBREC again and again.
            self.overflow()
            return
        # Also for an unknown id, whose handshake may have ended here already (MQTT-4.3.3-1).
        self._send_once(durable, self._writer.acknowledgement(PacketType.PUBREL, packet_id))

    def overflow(self) -> None:
        """Cut off a client that takes less than comes for it; its session ends with its reading."""
        if not self._is_closed:
            self._is_closed = True
            self._on_overflow()
            packet = self._writer.disconnect(ReasonCode.QUOTA_EXCEEDED, "it takes too little")
            if packet is None or self._connection.is_congested:
                self._connection.abort()
            else:
                self._connection.send(packet)
                self._connection.close()

    def _send(self, sending: Sending) -> None:
        entry, packet_id = sending.entry, sending.packet_id
        message = entry.message
        is_exact = message.qos == 2
        if message.properties is not NO_PROPERTIES:
            aged = entry.aged(now_ms())
            # The handshake of QoS 2 goes on once it has begun.
            if aged is None and not (is_exact and sending.dup):
                self._discard(entry, packet_id)
                return
            message = aged or message
        durable = None
        if packet_id and (is_exact or not sending.dup):
            # A stored message goes out again under the same packet id, also after a restart.
            durable = (
                self._put(entry, packet_id) if entry.message_id else self._keep(entry, packet_id)
            )
        self._session.progress += 1
        if entry.is_released:
            self._send_once(durable, self._writer.acknowledgement(PacketType.PUBREL, packet_id))
            return
        packet = self._writer.publish(message, packet_id, dup=sending.dup)
        if not packet:
            self._discard(entry, packet_id)
            return
        self._counters.publish_sent += 1
        if is_exact:
            self._send_once(durable, packet)
        else:
            self._connection.send(packet)

    def _discard(self, entry: Entry, packet_id: int) -> None:
        """Drop a message that has expired or that is too large for the client."""
        self._counters.publish_dropped += 1
        self._session.delivery.discard(packet_id)
        self._store.drop_message(self._session.key, entry.message_id)

    def _keep(self, entry: Entry, packet_id: int) -> Durable | None:
        """Store a retained message, which was in no queue, where the session is kept."""
        if not self._session.is_kept:
            return None
        entry.message_id = self._store.new_message_id()
        entry.queued_ms = entry.queued_ms or now_ms()
        durable = self._put(entry, packet_id)
        if durable is None:
            entry.message_id = 0
        return durable

    def _put(self, entry: Entry, packet_id: int) -> Durable | None:
        if not entry.message_id:
            return None
        row = stored(entry, packet_id)
        return self._store.put_message(
            self._session.key, row, is_urgent=entry.message.qos == 2, may_exceed=True
        )

    def _send_once(self, durable: Durable | None, packet: bytes) -> None:
        """Send a packet of QoS 2 when the state that it tells of is on the disk, in order."""
        if not self._unwritten and (durable is None or durable.done()):
            self._connection.send(packet)
            return
        self._unwritten.append((durable, packet))
        if durable is not None:
            durable.add_done_callback(self._send_written)

    def _send_written(self, _durable: Durable) -> None:
        waiting = self._unwritten
        while waiting and (waiting[0][0] is None or waiting[0][0].done()):
            self._connection.send(waiting.pop(0)[1])
