"""Incoming packets of one connection, from its CONNECT on, and their answers.

Everything that a packet causes happens before the next one is read, in one step of the event loop:
two connections never see a half-made change of each other.
"""

import functools
from collections.abc import Callable, Generator

from broker.embedded.counters import Counters
from broker.embedded.incoming.answers import Answers
from broker.embedded.incoming.held import HeldPackets
from broker.embedded.incoming.keep_alive import KeepAlive
from broker.embedded.incoming.messages import IncomingMessages
from broker.embedded.incoming.works import Works
from broker.embedded.net.connection import Connection
from broker.embedded.outgoing.sender import Sender
from broker.embedded.packets.codec import Codec
from broker.embedded.packets.model import (
    Connect,
    Packet,
    PacketType,
    ReasonCode,
    ViolationError,
)
from broker.embedded.router import Router
from broker.embedded.session import ClientSession
from broker.embedded.sessions import Sessions
from broker.embedded.store.store import Store
from broker.embedded.topics.requests import Subscribed, Unsubscribed

# Subscriptions that wait for their retained messages.
_MAX_WAITING = 1_000
# A SUBSCRIBE of so many bytes is not decoded before other clients have had their turn.
_LARGE_BYTES = 4_096


class Handler:
    """Protocol handler of a connected client.

    `on_silent` is called once where the keep alive is exceeded; it ends the connection.
    """

    __slots__ = (
        *("session", "connection", "will", "codec", "has_ended", "_messages", "_router", "_sender"),
        *("_sessions", "_keep_alive", "_answers", "_held", "_reader", "_writer"),
    )

    def __init__(  # noqa: PLR0913 - one connection brings all of them together
        self,
        connection: Connection,
        session: ClientSession,
        connect: Connect,
        codec: Codec,
        *,
        router: Router,
        sender: Sender,
        sessions: Sessions,
        store: Store,
        counters: Counters,
        works: Works,
        on_silent: Callable[["Handler"], None],
        may_retain: bool = True,
        max_qos: int = 2,
    ) -> None:
        self.session = session
        self.connection = connection
        self.will = connect.will
        self.codec = codec
        self.has_ended = False
        self._router = router
        self._sender = sender
        self._sessions = sessions
        self._keep_alive = KeepAlive(
            connection, session, connect.keep_alive_s, functools.partial(on_silent, self)
        )
        self._answers = Answers(connection, session)
        self._held = HeldPackets(connection, session, self._answers, self._handle, works)
        self._reader, self._writer = codec.reader, codec.writer
        self._messages = IncomingMessages(
            *(session, codec, self._answers, self._held),
            router=router,
            sender=sender,
            store=store,
            counters=counters,
            may_retain=may_retain,
            max_qos=max_qos,
        )

    async def run(self) -> None:
        """Serve the client until the connection ends. Raises ViolationError."""
        self._keep_alive.start()
        self._sender.start()
        await self.connection.serve(self._held.take)
        await self._held.wait_until_handled()

    def _handle(self, packet: Packet) -> None:
        _PACKET_HANDLERS[packet.kind](self, packet)

    def stop_receiving(self) -> None:
        """Handle no packet any more, and end the connection for no silence of the client."""
        self._keep_alive.cancel()
        self._held.close()
        self.connection.stop_receiving()

    def close(self, reason: ReasonCode | None = None, text: str = "") -> None:
        """Close the connection. The session and the will are the engine's part."""
        self.has_ended = True
        goodbye = None if reason is None else self._writer.disconnect(reason, text)
        if goodbye is not None:
            self.connection.send(goodbye)
        self._keep_alive.cancel()
        self._sender.close()
        self._answers.clear()
        self._held.close()
        self.connection.close()

    def _on_publish(self, packet: Packet) -> None:
        self._messages.publish(packet)

    def _on_pubrel(self, packet: Packet) -> None:
        self._messages.pubrel(packet)

    def _on_puback(self, packet: Packet) -> None:
        packet_id = self._reader.acknowledgement(packet.kind, packet.body).packet_id
        if not self._router.deliverer.acknowledged(self.session, packet_id):
            self._check_unknown(packet, packet_id)
        self._sender.send_due()

    def _on_pubrec(self, packet: Packet) -> None:
        answer = self._reader.acknowledgement(packet.kind, packet.body)
        if self.session.delivery.qos_of(answer.packet_id) == 1:
            raise _wrong_answer(packet)
        if answer.reason < ReasonCode.UNSPECIFIED:
            self._sender.release(answer.packet_id)
            return
        self._router.deliverer.refused(self.session, answer.packet_id)
        self._sender.send_due()

    def _on_pubcomp(self, packet: Packet) -> None:
        packet_id = self._reader.acknowledgement(packet.kind, packet.body).packet_id
        if not self._router.deliverer.completed(self.session, packet_id):
            self._check_unknown(packet, packet_id)
        self._sender.send_due()

    def _check_unknown(self, packet: Packet, packet_id: int) -> None:
        """Raise ViolationError for an answer that does not fit what is in flight.

        One to what is not in flight any more is fine: the client may have sent it twice.
        """
        if self.session.delivery.qos_of(packet_id) is not None:
            raise _wrong_answer(packet)

    def _on_subscribe(self, packet: Packet) -> None:
        def answer(result: tuple[int, Subscribed]) -> None:
            packet_id, subscribed = result
            # The client of a kept session does not subscribe again after a kill of the broker.
            suback = self._writer.suback(packet_id, subscribed.codes)
            self._answers.send(subscribed.durable, suback)
            self.session.send_retained(subscribed.retained)
            self._sender.send_due()
            # A client that subscribes again and again, and takes nothing.
            if self.session.pending_subscriptions > _MAX_WAITING:
                self._sender.overflow()

        self._held.work(self._subscribe(packet), answer)

    def _subscribe(self, packet: Packet) -> Generator[None, None, tuple[int, Subscribed]]:
        if len(packet.body) > _LARGE_BYTES:
            yield
        request = self._reader.subscribe(packet.body)
        subscribed = yield from self._router.subscribe(self.session, request)
        return request.packet_id, subscribed

    def _on_unsubscribe(self, packet: Packet) -> None:
        request = self._reader.unsubscribe(packet.body)

        def answer(removed: Unsubscribed) -> None:
            unsuback = self._writer.unsuback(request.packet_id, removed.codes)
            self._answers.send(removed.durable, unsuback)

        self._held.work(self._router.unsubscribe(self.session, request.filters), answer)

    def _on_pingreq(self, packet: Packet) -> None:
        if packet.body:
            raise ViolationError("a PINGREQ with a body", None)
        self.connection.send(self._writer.pingresp())

    def _on_disconnect(self, packet: Packet) -> None:
        goodbye = self._reader.disconnect(packet.body)
        if goodbye.session_expiry_s is not None:
            self._set_expiry(goodbye.session_expiry_s)
        if goodbye.reason == ReasonCode.SUCCESS:
            # MQTT-3.14.4-3.
            self.will = None
        self.connection.finish()

    def _set_expiry(self, expiry_s: int) -> None:
        if expiry_s and not self.session.is_kept:
            raise ViolationError(
                "a session expiry interval where the CONNECT had none (MQTT-3.14.2-2)",
                ReasonCode.PROTOCOL_ERROR,
            )
        self._sessions.set_expiry(self.session, expiry_s)

    def _on_connect(self, _packet: Packet) -> None:
        raise ViolationError("a second CONNECT (MQTT-3.1.0-2)", ReasonCode.PROTOCOL_ERROR)


def _wrong_answer(packet: Packet) -> ViolationError:
    name = PacketType(packet.kind).name
    return ViolationError(f"a {name} that does not answer what was sent", ReasonCode.PROTOCOL_ERROR)


_HANDLER_OF_TYPE: dict[int, Callable[[Handler, Packet], None]] = {
    PacketType.CONNECT: Handler._on_connect,  # noqa: SLF001 - a table of this class's own methods
    PacketType.PUBLISH: Handler._on_publish,  # noqa: SLF001
    PacketType.PUBACK: Handler._on_puback,  # noqa: SLF001
    PacketType.PUBREC: Handler._on_pubrec,  # noqa: SLF001
    PacketType.PUBREL: Handler._on_pubrel,  # noqa: SLF001
    PacketType.PUBCOMP: Handler._on_pubcomp,  # noqa: SLF001
    PacketType.SUBSCRIBE: Handler._on_subscribe,  # noqa: SLF001
    PacketType.UNSUBSCRIBE: Handler._on_unsubscribe,  # noqa: SLF001
    PacketType.PINGREQ: Handler._on_pingreq,  # noqa: SLF001
    PacketType.DISCONNECT: Handler._on_disconnect,  # noqa: SLF001
}
# Plain integers are found faster.
_PACKET_HANDLERS = {int(kind): handle for kind, handle in _HANDLER_OF_TYPE.items()}
