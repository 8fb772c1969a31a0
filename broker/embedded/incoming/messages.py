"""PUBLISH and PUBREL of one connection: the way of its messages into the router."""

from collections.abc import Sequence

from broker.embedded.counters import Counters
from broker.embedded.incoming.answers import Answers
from broker.embedded.incoming.held import HeldPackets
from broker.embedded.outgoing.sender import Sender
from broker.embedded.packets.codec import RECEIVE_MAXIMUM, VERSION_5, Codec
from broker.embedded.packets.model import (
    Packet,
    PacketType,
    Publish,
    ReasonCode,
    ViolationError,
)
from broker.embedded.router import Router
from broker.embedded.session import ClientSession, Unreleased
from broker.embedded.store.store import Store
from broker.embedded.store.writer import Durable

# The members of an enumeration cost a look-up each time.
_PUBACK = PacketType.PUBACK
# Messages of QoS 2 that a client has not released.
_MAX_UNRELEASED = 4_096


class IncomingMessages:
    """Receiver of a client's messages; at QoS 2 it passes each on once."""

    __slots__ = (
        *("_session", "_reader", "_writer", "_answers", "_held", "_router", "_sender", "_store"),
        *("_counters", "_is_version5", "_may_retain", "_max_qos", "_old_unreleased"),
    )

    def __init__(  # noqa: PLR0913 - what a message of a connection touches
        self,
        session: ClientSession,
        codec: Codec,
        answers: Answers,
        held: HeldPackets,
        *,
        router: Router,
        sender: Sender,
        store: Store,
        counters: Counters,
        may_retain: bool,
        max_qos: int,
    ) -> None:
        self._session = session
        self._reader, self._writer = codec.reader, codec.writer
        self._answers = answers
        self._held = held
        self._router = router
        self._sender = sender
        self._store = store
        self._counters = counters
        self._is_version5 = codec.version >= VERSION_5
        self._may_retain = may_retain
        self._max_qos = max_qos
        # Of an earlier connection; they do not count for the receive maximum of this one.
        self._old_unreleased = frozenset(session.unreleased)

    def publish(self, packet: Packet) -> None:
        """Handle a PUBLISH. Raises ViolationError."""
        message = self._reader.publish(packet.first_byte, packet.body)
        self._counters.publish_received += 1
        if message.qos > self._max_qos:
            raise ViolationError(
                f"a message at QoS {message.qos} (broker.max_qos)", ReasonCode.QOS_NOT_SUPPORTED
            )
        if message.retain and not self._may_retain:
            raise ViolationError(
                "a retained message (broker.retain_by)", ReasonCode.RETAIN_NOT_SUPPORTED
            )
        if message.qos and self._is_version5:
            self._check_receive_maximum(message)
        if message.qos == 2:
            self._pass_on_once(message)
            return
        passed = self._router.publish_for(self._session, message)
        if message.qos:
            answer = self._writer.acknowledgement(_PUBACK, message.packet_id, passed.reason)
            self._answers.send(passed.waits(), answer)
        if passed.room:
            self._held.hold(passed.room)

    def _pass_on_once(self, message: Publish) -> None:
        """Pass on a message of QoS 2, unless it was received before and not released."""
        unreleased = self._session.unreleased
        content = hash((message.topic, message.payload))
        known = unreleased.get(message.packet_id)
        # A client that has lost its state uses the id for another message.
        if known is not None and known.content in (None, content):
            self._acknowledge(known.waits, PacketType.PUBREC, message.packet_id)
            return
        if len(unreleased) >= _MAX_UNRELEASED:
            raise ViolationError(
                f"more than {_MAX_UNRELEASED} messages of QoS 2 not released",
                ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
            )
        # Where the client itself receives it, it comes after the PUBREC.
        self._sender.hold()
        try:
            self._pass_on_new(message, content)
        finally:
            self._sender.go_on()

    def _pass_on_new(self, message: Publish, content: int) -> None:
        """Pass on a message of QoS 2 that was not received before."""
        with self._store.together():
            passed = self._router.publish_for(self._session, message)
            if self._is_version5 and passed.reason >= ReasonCode.UNSPECIFIED:
                # The handshake ends with the error.
                self._acknowledge([], PacketType.PUBREC, message.packet_id, passed.reason)
                return
            kept = self._store.put_unreleased(self._session.key, message.packet_id)
        waits = passed.waits()
        if kept is not None:
            waits.append(kept)
        self._session.unreleased[message.packet_id] = Unreleased(waits, content)
        self._acknowledge(waits, PacketType.PUBREC, message.packet_id)
        if passed.room:
            self._held.hold(passed.room)

    def _check_receive_maximum(self, message: Publish) -> None:
        """Raise ViolationError where the client sent more than the CONNACK allows."""
        unreleased = self._session.unreleased
        if (
            len(unreleased) + len(self._answers) < RECEIVE_MAXIMUM
            or message.packet_id in unreleased
        ):
            return
        new = sum(packet_id not in self._old_unreleased for packet_id in unreleased)
        if new + self._answers.pubacks >= RECEIVE_MAXIMUM:
            raise ViolationError(
                f"more than {RECEIVE_MAXIMUM} messages not acknowledged",
                ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
            )

    def pubrel(self, packet: Packet) -> None:
        """Handle a PUBREL, also for an unknown packet identifier. Raises ViolationError."""
        packet_id = self._reader.acknowledgement(packet.kind, packet.body).packet_id
        self._session.unreleased.pop(packet_id, None)
        # Its client may use the id again once it has the PUBCOMP. Also for an unknown one: the
        # client may have missed the first PUBCOMP (MQTT-4.3.3-2).
        dropped = self._store.drop_unreleased(self._session.key, packet_id)
        waits = [] if dropped is None else [dropped]
        self._acknowledge(waits, PacketType.PUBCOMP, packet_id)

    def _acknowledge(
        self, durable: Sequence[Durable], kind: PacketType, packet_id: int, reason: int = 0
    ) -> None:
        self._answers.send(durable, self._writer.acknowledgement(kind, packet_id, reason))
