"""Connected clients: each has a session and the handler of its connection, until this ends.

A session changes hands only here, in one step that no other client sees half done.
"""

import asyncio

from broker.embedded.connect.accept import AcceptedConnect, connack_properties
from broker.embedded.connect.checks import ConnectRefusedError
from broker.embedded.counters import Counters, Refusal
from broker.embedded.incoming.handler import Handler
from broker.embedded.incoming.works import Works
from broker.embedded.net.connection import Connection
from broker.embedded.outgoing.sender import Sender
from broker.embedded.packets.codec import VERSION_3_1, VERSION_5, codec_for
from broker.embedded.packets.model import Connack, ConnackCode, ReasonCode
from broker.embedded.router import Router
from broker.embedded.session import ClientSession
from broker.embedded.sessions import Sessions
from broker.embedded.store.store import Store
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog


def no_room(accepted: AcceptedConnect, cause: Refusal, text: str) -> ConnectRefusedError:
    """Return the refusal of a client for which there is no room."""
    refusal = ConnectRefusedError(ConnackCode.UNAVAILABLE, cause, text, ReasonCode.QUOTA_EXCEEDED)
    refusal.writer = codec_for(accepted.connect).writer
    return refusal


class Clients:
    """Handlers of the connected clients by their sessions."""

    def __init__(  # noqa: PLR0913 - the parts of the broker that a connection works with
        self,
        settings: BrokerConfig,
        *,
        router: Router,
        sessions: Sessions,
        store: Store,
        counters: Counters,
        log: LimitedLog,
    ) -> None:
        self._settings = settings
        self._router = router
        self._sessions = sessions
        self._store = store
        self._counters = counters
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._works = Works()
        self._handlers: dict[ClientSession, Handler] = {}

    def __len__(self) -> int:
        return len(self._handlers)

    def attach(self, connection: Connection, accepted: AcceptedConnect) -> Handler:
        """Give a client its session and send the CONNACK (MQTT-3.2.0-1), in one step.

        Raises ConnectRefusedError where there is no room for its session.
        """
        version = accepted.connect.version
        is_3_1 = version == VERSION_3_1
        connection.allow_packets(
            self._settings.packet_kb * 1024, is_3_1=is_3_1, is_5=version == VERSION_5
        )
        opened = self._sessions.open(accepted, self._take_over)
        if opened is None:
            text = f"{accepted.connect!r}: no room for its session"
            raise no_room(accepted, Refusal.SESSIONS, text)
        session, was_present = opened
        handler = self._new_handler(connection, session, accepted)
        self._counters.connections += 1
        self._counters.clients_maximum = max(self._counters.clients_maximum, len(self._handlers))
        properties = connack_properties(accepted, self._settings, session.expiry_s)
        # The byte is reserved in MQTT 3.1.
        connack = Connack(ConnackCode.ACCEPTED, was_present and not is_3_1, properties)
        connection.send(handler.codec.writer.connack(connack))
        if accepted.refused_will is not None:
            self._router.refuse_publish(session.key, accepted.refused_will)
        return handler

    def _new_handler(
        self, connection: Connection, session: ClientSession, accepted: AcceptedConnect
    ) -> Handler:
        def on_overflow() -> None:
            self._log_cut(Refusal.QUEUE, session, "takes less than comes for it")

        codec = codec_for(accepted.connect)
        sender = Sender(
            session,
            connection,
            codec.writer,
            store=self._store,
            counters=self._counters,
            on_overflow=on_overflow,
        )
        session.link = sender
        handler = self._handlers[session] = Handler(
            connection,
            session,
            accepted.connect,
            codec,
            router=self._router,
            sender=sender,
            sessions=self._sessions,
            store=self._store,
            counters=self._counters,
            works=self._works,
            on_silent=self._end_silent,
            may_retain=accepted.may_retain,
            max_qos=self._settings.max_qos,
        )
        return handler

    def end(self, handler: Handler, reason: ReasonCode | None = None, text: str = "") -> None:
        """End a connection; publish its will unless a DISCONNECT came. Ending twice is fine.

        A client of MQTT 5 is told the reason, if there is one.
        """
        if handler.has_ended:
            return
        handler.close(reason, text)
        del self._handlers[handler.session]
        self._sessions.disconnected(handler.session)
        self._sessions.wills.end(handler.session, handler.will, self._loop.time())

    def _end_connection_of(self, session: ClientSession, reason: ReasonCode) -> None:
        handler = self._handlers.get(session)
        if handler is not None:
            self.end(handler, reason)

    def end_all(self) -> None:
        """End every connection: the broker stops."""
        for session in tuple(self._handlers):
            self._end_connection_of(session, ReasonCode.SERVER_SHUTTING_DOWN)

    def stop_receiving(self) -> None:
        """Handle no packet any more; connections stay open for what is sent."""
        for handler in self._handlers.values():
            handler.stop_receiving()

    def disconnect(self, name: str) -> int:
        """End every connection of the user `name` and remove its sessions; return how many."""
        theirs = [session for session in self._sessions if session.identity.name == name]
        for session in theirs:
            self._end_connection_of(session, ReasonCode.NOT_AUTHORIZED)
            self._sessions.remove(session)
        return len(theirs)

    def _take_over(self, session: ClientSession) -> None:
        self._end_connection_of(session, ReasonCode.SESSION_TAKEN_OVER)

    def _end_silent(self, handler: Handler) -> None:
        self._log_cut(Refusal.KEEP_ALIVE, handler.session, "is silent: keep alive exceeded")
        self.end(handler, ReasonCode.KEEP_ALIVE_TIMEOUT)

    def _log_cut(self, cause: Refusal, session: ClientSession, text: str) -> None:
        self._counters.refuse(cause)
        self._log.warning(cause, "disconnected %r: it %s", session.key, text)
