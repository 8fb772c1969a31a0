"""One client's connection, from its CONNECT on: reads its packets, encode, sends what is due.

Everything a packet causes happens before the next one is read, in one step of the event loop: two
connections never see a half-made change of each other.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from broker.embedded.delivery import Sending
from broker.embedded.net.connection import Connection, Packet
from broker.embedded.packets import decode, encode
from broker.embedded.packets.decode import Connect, PacketType, ViolationError
from broker.embedded.session import ClientSession
from broker.embedded.statistics import Refusal
from broker.embedded.topics.names import valid_topic

if TYPE_CHECKING:
    from broker.embedded.broker import HardenedBroker

# MQTT-3.1.2-24.
_KEEP_ALIVE_FACTOR = 1.5
# Acknowledgements that wait for the disk, and subscriptions that wait for their retained messages.
_MOST_WAITING = 1_000

Settled = asyncio.Future[bool]


class Handler(BrokerProtocolHandler):
    """A connected client. `has_ended`: its session is another's, or nobody's."""

    session: ClientSession

    def __init__(
        self,
        broker: "HardenedBroker",
        connection: Connection,
        session: ClientSession,
        connect: Connect,
    ) -> None:
        super().__init__(broker.plugins_manager, loop=broker.loop)
        # amqtt's own flows are not used, and their queues are 10 KB a client.
        del self._pending_subscriptions, self._pending_unsubscriptions
        del self._reader_stopped, self._write_lock
        self.session = session
        self.connection = connection
        self.will = connect.will
        self.has_ended = False
        self.is_leaving = False
        self._broker = broker
        self._router = broker.router
        self._silence_s = _KEEP_ALIVE_FACTOR * connect.keep_alive_s
        self._heard_s = self._loop.time()
        self._alarm: asyncio.TimerHandle | None = None
        self._acknowledgements: deque[tuple[Sequence[Settled], bytes]] = deque()

    async def start(self) -> None:
        """Serve the client until it goes. Raises ViolationError where it must go."""
        self._watch()
        self.session.delivery.rewind()
        self.pump()
        while not self.has_ended:
            packet = await self.connection.read()
            if packet is None or self.has_ended:
                return
            self._heard_s = self._loop.time()
            if packet.kind is PacketType.DISCONNECT:
                decode.parse_nothing(packet.body)
                # MQTT-3.14.4-3.
                self.will = None
                return
            _REACTIONS[packet.kind](self, packet)
            if len(self._acknowledgements) > _MOST_WAITING:
                await asyncio.wait(self._acknowledgements[0][0])

    async def stop(self) -> None:
        """End the connection as if the client had gone without a word."""
        self._broker.end(self)

    def close(self) -> None:
        """Stop watching and cut the connection. For the broker, which ends the session's part."""
        self.has_ended = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._acknowledgements.clear()
        self.connection.close()

    def pump(self) -> None:
        """Write what is due, as much as the client takes right now."""
        if self.has_ended or self.is_leaving:
            return
        while not self.connection.is_congested:
            sending = self.session.next()
            if sending is None:
                return
            self._send(sending)
        self.connection.when_drained(self.pump)

    def overflow(self) -> None:
        """Cut off a client that takes less than comes; its session ends when its reading does."""
        if not self.is_leaving:
            self.is_leaving = True
            self._broker.note(Refusal.QUEUE, "queue full", self, "takes less than comes for it")
            self.connection.abort()

    def _send(self, sending: Sending) -> None:
        if sending.packet_id and not sending.dup:
            self._router.note_sent(self.session, sending.entry, sending.packet_id)
        self._router.counters.publish_sent += 1
        message = sending.entry.message
        self.connection.send(encode.publish(message, sending.packet_id, dup=sending.dup))

    def _watch(self) -> None:
        """Look after 1.5 times the keep-alive whether the client is heard of; 0 means never."""
        if not self._silence_s:
            return
        due_s = self._heard_s + self._silence_s
        if self._loop.time() >= due_s:
            self._broker.note(Refusal.KEEP_ALIVE, "silent", self, "is silent: keep-alive exceeded")
            self._broker.end(self)
        else:
            self._alarm = self._loop.call_at(due_s, self._watch)

    def _on_publish(self, packet: Packet) -> None:
        message = decode.parse_publish(packet.first_byte, packet.body)
        if not valid_topic(message.topic):
            raise ViolationError("a PUBLISH to what is no topic (MQTT-3.3.2-2, MQTT-4.7.3-1)")
        self._router.counters.publish_received += 1
        if message.topic.startswith("$"):
            # Acknowledged first, or the client would begin its next connection with it again.
            self._answer(message, ())
            raise ViolationError(f"a PUBLISH to {message.topic!r}: `$` topics are the broker's own")
        if message.qos == 2 and self._is_repeated(message):
            self._answer(message, ())
        else:
            self._answer(message, self._router.publish_for(self.session, message))

    def _is_repeated(self, message: decode.Publish) -> bool:
        """Whether a message of QoS 2 came before and was not released (method B, 4.3.3)."""
        unreleased = self.session.unreleased
        if message.packet_id in unreleased:
            return True
        unreleased.add(message.packet_id)
        return False

    def _answer(self, message: decode.Publish, settled: Sequence[Settled]) -> None:
        if message.qos:
            kind = PacketType.PUBACK if message.qos == 1 else PacketType.PUBREC
            self._acknowledge(settled, kind, message.packet_id)

    def _on_pubrel(self, packet: Packet) -> None:
        packet_id = decode.parse_packet_id(packet.body)
        self.session.unreleased.discard(packet_id)
        # Also for an id that is unknown: the client forgot that it was answered (MQTT-4.3.3-2).
        self._acknowledge((), PacketType.PUBCOMP, packet_id)

    def _on_puback(self, packet: Packet) -> None:
        self._router.acknowledged(self.session, decode.parse_packet_id(packet.body))
        self.pump()

    def _on_stray(self, packet: Packet) -> None:
        """PUBREC or PUBCOMP: nothing of QoS 2 is ever sent. One may be left of another broker."""
        packet_id = decode.parse_packet_id(packet.body)
        if packet.kind is PacketType.PUBREC:
            self.connection.send(encode.release(packet_id))

    def _on_subscribe(self, packet: Packet) -> None:
        asked = decode.parse_subscribe(packet.body)
        codes, retained = self._router.subscribe(self.session, asked.filters)
        self.connection.send(encode.suback(asked.packet_id, codes))
        self.session.send_retained(retained)
        self.pump()
        # It subscribes again and again, and takes nothing.
        if self.session.backlog > _MOST_WAITING:
            self.overflow()

    def _on_unsubscribe(self, packet: Packet) -> None:
        asked = decode.parse_unsubscribe(packet.body)
        self._router.unsubscribe(self.session, asked.filters)
        self.connection.send(encode.acknowledgement(PacketType.UNSUBACK, asked.packet_id))

    def _on_pingreq(self, packet: Packet) -> None:
        decode.parse_nothing(packet.body)
        self.connection.send(encode.PINGRESP)

    def _on_connect(self, _packet: Packet) -> None:
        raise ViolationError("a second CONNECT (MQTT-3.1.0-2)")

    def _acknowledge(self, settled: Sequence[Settled], kind: PacketType, packet_id: int) -> None:
        """Answer once everything is on the disk, in the order of the questions (MQTT-4.6.0-2)."""
        answer = encode.acknowledgement(kind, packet_id)
        waited_for = [future for future in settled if not future.done()]
        if not waited_for and not self._acknowledgements:
            self.connection.send(answer)
            return
        self._acknowledgements.append((waited_for, answer))
        for future in waited_for:
            future.add_done_callback(self._send_acknowledgements)

    def _send_acknowledgements(self, _settled: Settled) -> None:
        waiting = self._acknowledgements
        while waiting and all(future.done() for future in waiting[0][0]):
            self.connection.send(waiting.popleft()[1])


_REACTIONS: dict[PacketType, Callable[[Handler, Packet], None]] = {
    PacketType.CONNECT: Handler._on_connect,  # noqa: SLF001 - a table of this class's own methods
    PacketType.PUBLISH: Handler._on_publish,  # noqa: SLF001
    PacketType.PUBACK: Handler._on_puback,  # noqa: SLF001
    PacketType.PUBREC: Handler._on_stray,  # noqa: SLF001
    PacketType.PUBREL: Handler._on_pubrel,  # noqa: SLF001
    PacketType.PUBCOMP: Handler._on_stray,  # noqa: SLF001
    PacketType.SUBSCRIBE: Handler._on_subscribe,  # noqa: SLF001
    PacketType.UNSUBSCRIBE: Handler._on_unsubscribe,  # noqa: SLF001
    PacketType.PINGREQ: Handler._on_pingreq,  # noqa: SLF001
}
