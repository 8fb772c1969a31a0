"""amqtt's broker with its flows replaced: who comes in, who takes over, and how each one ends.

Everything between two `await`s is one step that no other client sees half done. A session changes
hands only here: `_attach` and `end`.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig as AmqttConfig
from amqtt.contexts import ListenerConfig

from broker.auth.gate import Gate
from broker.embedded.arrival import Arrival, RefusedError, arrive
from broker.embedded.handler import Handler
from broker.embedded.net.accept import Acceptor
from broker.embedded.net.admission import Admission
from broker.embedded.net.connection import Connection, TooLargeError, connect
from broker.embedded.net.descriptors import room_for
from broker.embedded.net.listener import Listener
from broker.embedded.net.local import is_loopback
from broker.embedded.packets import encode
from broker.embedded.packets.decode import Publish, ViolationError
from broker.embedded.packets.encode import ConnackCode
from broker.embedded.router import Router
from broker.embedded.session import ClientSession
from broker.embedded.sessions import Sessions
from broker.embedded.statistics import BrokerSnapshot, Holdings, Refusal, Statistics, sys_topics
from broker.embedded.store.records import Contents
from broker.embedded.store.store import Store
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog

logger = logging.getLogger(__name__)

_TICK_S = 1.0
# Binding is done beforehand; amqtt only wants to know of one listener.
_CONFIG = {"default": ListenerConfig(bind="127.0.0.1:0")}

Bound = tuple[Listener, socket.socket]


class HardenedBroker(Broker):
    """Serves the bound sockets from `start` to `shutdown`, in the running loop."""

    def __init__(
        self, settings: BrokerConfig, gate: Gate, store: Store, bound: Sequence[Bound]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        super().__init__(AmqttConfig(listeners=dict(_CONFIG), plugins={}), self.loop)
        self._settings = settings
        self._gate = gate
        self._store = store
        self._bound = bound
        self._statistics = Statistics(settings, self.loop.time())
        self.counters = self._statistics.counters
        self._log = LimitedLog(logger, settings.log_lines_per_minute, self.loop.time)
        self._admission = Admission(
            room_for(settings.connections), settings.connections_per_address
        )
        self.router = Router(settings, gate, store, self.counters, self._log)
        self._clients = Sessions(settings, store, self.router, self.counters)
        self._connected = 0
        self._show_s = 0.0

    def load(self, contents: Contents) -> None:
        """Take over what was on the disk; call it before `start`."""
        for topic in self.router.retained.load(contents.retained):
            self._store.put_retained(topic, None)
        self._clients.load(contents.sessions)

    @property
    def snapshot(self) -> BrokerSnapshot:
        held = Holdings(
            connected=self._connected,
            disconnected=len(self._clients) - self._connected,
            subscriptions=len(self.router.tree),
            in_flight=sum(session.delivery.in_flight for session in self._clients),
            queued_messages=sum(session.delivery.waiting for session in self._clients),
            queued_bytes=sum(session.delivery.waiting_bytes for session in self._clients),
            retained_messages=len(self.router.retained),
            retained_bytes=self.router.retained.size_bytes,
            stored_sessions=self._store.sessions,
            store_failures=self._store.failures,
        )
        return self._statistics.snapshot(held, self.loop.time())

    def disconnect(self, name: str) -> int:
        """Cut off every client that came in as `name`, forget its sessions; return how many."""
        theirs = [session for session in self._clients if session.identity.name == name]
        for session in theirs:
            if session.handler is not None:
                self.end(session.handler)
            self._clients.forget(session)
        return len(theirs)

    def end(self, handler: Handler) -> None:
        """Cut a connection, publish its will unless it said good-bye. Twice is fine."""
        if handler.has_ended:
            return
        handler.close()
        self._connected -= 1
        self._clients.leave(handler.session)
        will = handler.will
        if will is not None:
            self.router.publish(Publish(will.topic, will.payload, will.qos, will.retain, 0))

    def note(self, cause: Refusal, label: str, handler: Handler, text: str) -> None:
        """Count and log why a client that was let in has to go."""
        self.counters.refuse(cause)
        self._log.warning(label, "%r %s", handler.session.key, text)

    async def shutdown(self) -> None:
        """Listen no more, end every connection, publish their wills."""
        for session in self._clients:
            if session.handler is not None:
                self.end(session.handler)
        await super().shutdown()

    async def _start_listeners(self) -> None:
        for listener, bound in self._bound:
            self._servers[str(listener)] = Acceptor(
                listener,
                bound,
                self._serve,
                admission=self._admission,
                counters=self.counters,
                log=self._log,
            )

    async def _serve(self, listener: Listener, sock: socket.socket, address: str) -> None:
        """See one connection through. Whatever goes wrong ends this one alone."""
        connection = await self._open(listener, sock, address)
        if connection is None:
            return
        handler: Handler | None = None
        try:
            handler = await self._let_in(connection, listener)
            if handler is not None:
                await handler.start()
        except ViolationError as e:
            self._violated(handler.session.key if handler else address, e)
        except Exception:  # noqa: BLE001 - the edge: see below
            # A fault of ours: it must cost nobody else anything, and it must be seen.
            self._log.exception("fault", "connection from %s ended by a fault", address)
        finally:
            if handler is not None:
                self.end(handler)
            elif not connection.is_closing:
                connection.abort()

    async def _open(
        self, listener: Listener, sock: socket.socket, address: str
    ) -> Connection | None:
        try:
            reader, writer = await connect(sock, listener.tls, self._settings.connect_timeout_s)
        except OSError as e:
            self.counters.refuse(Refusal.MALFORMED)
            self._log.warning("handshake", "no TLS with %s: %s", address, e)
            return None
        return Connection(
            reader,
            writer,
            address=address,
            most_bytes=self._settings.packet_kb * 1024,
            counters=self.counters,
            loop=self.loop,
        )

    async def _let_in(self, connection: Connection, listener: Listener) -> Handler | None:
        """Return the handler of a client that may come in; None: it is refused or gone."""
        is_local = listener.tls is None and is_loopback(connection.address)
        timeout_s = self._settings.connect_timeout_s
        try:
            arrival = await arrive(connection, self._gate, is_local=is_local, timeout_s=timeout_s)
        except RefusedError as e:
            self._refuse(connection, e)
            return None
        return None if arrival is None else self._attach(connection, arrival)

    def _attach(self, connection: Connection, arrival: Arrival) -> Handler | None:
        """Give a client its session, and say so (MQTT-3.2.0-1): one step."""
        opened = self._clients.open(arrival, self._take_over)
        if opened is None:
            text = f"{arrival.connect!r}: no room for its session"
            self._refuse(connection, RefusedError(ConnackCode.UNAVAILABLE, Refusal.SESSIONS, text))
            return None
        session, was_there = opened
        handler = Handler(self, connection, session, arrival.connect)
        session.handler = handler
        self._connected += 1
        self.counters.connections += 1
        self.counters.clients_maximum = max(self.counters.clients_maximum, self._connected)
        connection.send(encode.connack(ConnackCode.ACCEPTED, session_present=was_there))
        return handler

    def _take_over(self, session: ClientSession) -> None:
        if session.handler is not None:
            self.end(session.handler)

    def _refuse(self, connection: Connection, refusal: RefusedError) -> None:
        self.counters.refuse(refusal.cause)
        self._log.warning(f"refused: {refusal.cause}", "refused a connection: %s", refusal)
        if refusal.code is None:
            connection.abort()
            return
        connection.send(encode.connack(refusal.code))
        connection.close()

    def _violated(self, who: str, error: ViolationError) -> None:
        is_large = isinstance(error, TooLargeError)
        self.counters.refuse(Refusal.PACKET_SIZE if is_large else Refusal.MALFORMED)
        self._log.warning("violation", "closed %r: %s", who, error)

    async def _session_monitor(self) -> None:
        """Do what is due by the clock."""
        while True:
            try:
                self._tick(self.loop.time())
            except Exception:  # noqa: BLE001 - the next tick must come
                self._log.exception("fault", "the broker's clock missed a beat")
            await asyncio.sleep(_TICK_S)

    def _tick(self, now_s: float) -> None:
        self._clients.expire()
        self.router.expire()
        self._log.sweep()
        if now_s >= self._show_s:
            self._show_s = now_s + self._settings.sys_interval_s
            self._statistics.average(now_s)
            self.router.show(sys_topics(self.snapshot))

    async def _broadcast_loop(self) -> None:
        """Nothing is queued for all: a message goes to each session's own queue at once."""
        await self._broadcast_shutdown_waiter

    async def _broadcast_message(
        self,
        session: object,
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        """What amqtt itself publishes goes the same way as all else."""
        _ = session
        self.router.publish(Publish(topic or "", bytes(data or b""), force_qos or 0, False, 0))
