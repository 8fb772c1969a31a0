"""Connections from accept to end: CONNECT, session, packets, and the end for whatever reason.

No failure of one reaches any other.
"""

import asyncio
import functools
import socket

from broker.auth.gate import Gate
from broker.embedded.clients import Clients, no_room
from broker.embedded.connect.accept import (
    MAX_CONNECT_BYTES,
    AcceptedConnect,
    accept_connect,
)
from broker.embedded.connect.checks import ConnectRefusedError
from broker.embedded.counters import Counters, Refusal
from broker.embedded.incoming.handler import Handler
from broker.embedded.net.accepted import accepted
from broker.embedded.net.admission import Admission, Place
from broker.embedded.net.connection import Connection
from broker.embedded.net.listener import Listener
from broker.embedded.net.loopback import is_loopback
from broker.embedded.net.round import Round
from broker.embedded.net.websocket.handshake import HandshakeError
from broker.embedded.packets.model import (
    Connack,
    Properties,
    ReasonCode,
    TooLargeError,
    ViolationError,
)
from broker.turns import Turns
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog


class Connections:
    """Serves accepted sockets, each until it ends."""

    def __init__(  # noqa: PLR0913 - the parts of the broker that a connection meets
        self,
        settings: BrokerConfig,
        *,
        gate: Gate,
        clients: Clients,
        admission: Admission,
        counters: Counters,
        log: LimitedLog,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._clients = clients
        self._admission = admission
        self._counters = counters
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._round = Round()
        self._handshakes = Turns()
        self._has_stopped = False

    def stop_receiving(self) -> None:
        """Log in nobody any more, and handle no packet of those who are; they stay open."""
        self._has_stopped = True
        self._clients.stop_receiving()

    async def serve(self, listener: Listener, sock: socket.socket, place: Place) -> None:
        """Serve one connection until it ends. No failure reaches any other connection."""
        deadline_s = self._loop.time() + self._settings.connect_timeout_s
        connection = Connection(
            address=place.address,
            max_packet_bytes=min(self._settings.packet_kb * 1024, MAX_CONNECT_BYTES),
            counters=self._counters,
            loop_round=self._round,
        )
        try:
            async with accepted(
                sock,
                connection,
                listener,
                self._round,
                handshakes=self._handshakes,
                deadline_s=deadline_s,
            ):
                await self._serve_accepted(connection, listener, place, deadline_s)
        except HandshakeError as e:
            self._counters.refuse(Refusal.MALFORMED)
            self._log.warning(
                *(f"{e.what} handshake", "%s handshake with %s failed: %s"),
                *(e.what, connection.address, str(e)),
            )

    async def _serve_accepted(
        self, connection: Connection, listener: Listener, place: Place, deadline_s: float
    ) -> None:
        handler: Handler | None = None
        # Not the error itself, whose traceback holds this frame.
        violation: tuple[ReasonCode | None, str] | None = None
        try:
            handler = await self._accept(connection, listener, place, deadline_s)
            if handler is not None:
                await handler.run()
        except ViolationError as e:
            violation = e.reason, str(e)
            self._log_violation(handler.session.key if handler else connection.address, e)
        except Exception:  # noqa: BLE001 - a fault of ours must cost nobody else a connection
            self._log.exception("fault", "connection from %s ended by a fault", connection.address)
        finally:
            if handler is not None and violation is not None:
                self._clients.end(handler, *violation)
            elif handler is not None:
                self._clients.end(handler)
            elif not connection.is_closing:
                connection.abort()

    async def _accept(
        self, connection: Connection, listener: Listener, place: Place, deadline_s: float
    ) -> Handler | None:
        """Return the handler of an authenticated client; None where it is refused or gone."""
        is_local = listener.serves_local_clients and is_loopback(connection.address)
        try:
            accepted = await accept_connect(
                connection,
                self._gate,
                is_local=is_local,
                deadline_s=deadline_s,
                settings=self._settings,
                authenticating=functools.partial(self._admission.authenticating, place),
            )
            if accepted is None or self._has_stopped:
                return None
            self._log_in(place, accepted)
            return self._clients.attach(connection, accepted)
        except ConnectRefusedError as e:
            self._refuse(connection, e)
            return None

    def _log_in(self, place: Place, accepted: AcceptedConnect) -> None:
        refusal = self._admission.log_in(place)
        if refusal is not None:
            text = f"{accepted.connect!r}: too many connections (broker.{refusal})"
            raise no_room(accepted, refusal, text)

    def _refuse(self, connection: Connection, refusal: ConnectRefusedError) -> None:
        self._counters.refuse(refusal.cause)
        self._log.warning(f"refused: {refusal.cause}", "refused a connection: %s", str(refusal))
        if refusal.code is None:
            connection.abort()
            return
        connack = Connack(
            refusal.code, properties=Properties(reason=str(refusal)), reason=refusal.reason
        )
        connection.send(refusal.writer.connack(connack))
        connection.close()

    def _log_violation(self, peer: str, error: ViolationError) -> None:
        is_large = isinstance(error, TooLargeError)
        self._counters.refuse(Refusal.PACKET_SIZE if is_large else Refusal.MALFORMED)
        self._log.warning("violation", "disconnected %r: %s", peer, str(error))
