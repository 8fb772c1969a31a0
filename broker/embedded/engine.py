"""Broker engine: its parts and their life, figures, and what is due by the clock.

Everything between two `await`s is one step that no other client sees half done. It imports nothing
of amqtt: see `amqtt_seam`.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence

from broker.auth.gate import Gate
from broker.embedded.clients import Clients
from broker.embedded.connect.connections import Connections
from broker.embedded.net.acceptor import Acceptor
from broker.embedded.net.admission import MAX_AUTHENTICATING, MAX_QUEUED, Admission
from broker.embedded.net.listener import Listener
from broker.embedded.router import Router
from broker.embedded.sessions import Sessions
from broker.embedded.statistics import BrokerSnapshot, Gauges, Statistics
from broker.embedded.store.records import Contents
from broker.embedded.store.store import Store
from broker.embedded.topics.sys_topics import sys_topics
from bus.config.broker_table import BrokerConfig
from bus.files.file_limit import room_for
from bus.limited_log import LimitedLog
from bus.ticks import next_tick

logger = logging.getLogger(__name__)

_TICK_S = 1.0
# Retained messages that are looked at in one tick.
_MOST_EXPIRED = 1_000

Bound = tuple[Listener, socket.socket]


def _connections(settings: BrokerConfig) -> int:
    """Return the number of clients for which there are descriptors beside those who log in."""
    others = settings.logins + MAX_QUEUED + MAX_AUTHENTICATING
    room = room_for(settings.connections + others)
    # Where descriptors are few, most of them are for clients.
    return min(settings.connections, max(1, room // 2, room - others))


class BrokerEngine:
    """Serves the bound sockets from `listen` on, in the running loop."""

    def __init__(
        self, settings: BrokerConfig, gate: Gate, store: Store, bound: Sequence[Bound]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._store = store
        self._bound = bound
        self._statistics = Statistics(settings, self._loop.time())
        self._counters = self._statistics.counters
        self._log = LimitedLog(logger, settings.log_lines_per_minute, self._loop.time)
        self._admission = Admission(
            connections=_connections(settings),
            per_address=settings.connections_per_address,
            logins=settings.logins,
            logins_per_address=settings.logins_per_address,
        )
        self.router = Router(settings, gate, store, self._counters, self._log)
        self._sessions = Sessions(settings, gate, store, self.router, self._counters)
        self.clients = Clients(
            settings,
            router=self.router,
            sessions=self._sessions,
            store=store,
            counters=self._counters,
            log=self._log,
        )
        self._acceptors: list[Acceptor] = []
        self._connections = Connections(
            settings,
            gate=gate,
            clients=self.clients,
            admission=self._admission,
            counters=self._counters,
            log=self._log,
        )
        self._next_sys_s = 0.0
        self._has_stopped_receiving = False
        self._ticked_s = self._loop.time()

    def load(self, contents: Contents) -> None:
        """Restore what was on the disk; call it before `listen`."""
        for topic in self.router.retained.load(contents.retained):
            self._store.put_retained(topic, None)
        self._sessions.load(contents, self._loop.time())
        # The hub's link takes what is retained without asking for its age.
        self.router.expire()

    def listen(self) -> dict[str, Acceptor]:
        """Begin to accept connections; return the acceptors, which the caller closes."""
        return {str(listener): self.listen_on(listener, bound) for listener, bound in self._bound}

    def listen_on(self, listener: Listener, bound: socket.socket) -> Acceptor:
        """Begin to accept connections on one more socket; the caller closes the acceptor."""
        acceptor = Acceptor(
            listener,
            bound,
            self._connections.serve,
            admission=self._admission,
            counters=self._counters,
            log=self._log,
            queue_s=self._settings.connect_timeout_s,
        )
        self._acceptors.append(acceptor)
        return acceptor

    def is_alive(self, patience_s: float) -> bool:
        """Whether every listener accepts and the periodic work began within `patience_s`."""
        is_ticking = self._loop.time() - self._ticked_s < patience_s
        are_accepting = all(acceptor.is_accepting for acceptor in self._acceptors)
        return is_ticking and (are_accepting or self._has_stopped_receiving)

    @property
    def snapshot(self) -> BrokerSnapshot:
        """All figures of the broker at this moment."""
        in_flight, queued, queued_bytes = self._sessions.amounts()
        gauges = Gauges(
            connected=len(self.clients),
            disconnected=len(self._sessions) - len(self.clients),
            subscriptions=len(self.router.subscriptions),
            in_flight=in_flight,
            queued_messages=queued,
            queued_bytes=queued_bytes,
            retained_messages=len(self.router.retained),
            retained_bytes=self.router.retained.size_bytes,
            stored_sessions=self._store.sessions,
            store_failures=self._store.failures,
        )
        return self._statistics.snapshot(gauges, self._loop.time())

    def clear_retained(self, topic_filter: str, until_ms: int) -> int:
        """Delete the matching retained messages that were stored until a time; return how many.

        Subscribers hear of it as of a client's empty retained message.
        """
        return self.router.clear_retained(topic_filter, until_ms)

    async def stop_receiving(self) -> None:
        """Accept nobody and handle no packet any more; connections stay open for what is sent."""
        self._has_stopped_receiving = True
        self._connections.stop_receiving()
        for acceptor in self._acceptors:
            await acceptor.stop_accepting()

    def close_sockets(self) -> None:
        """Stop listening at once."""
        for acceptor in self._acceptors:
            acceptor.close_sockets()

    def end_all(self) -> None:
        """End every connection and publish the wills."""
        self.clients.end_all()
        self._sessions.wills.publish_all()

    async def run_clock(self) -> None:
        """Do each second what is due by the clock, until it is cancelled."""
        while True:
            try:
                self._tick(self._loop.time())
            except Exception:  # noqa: BLE001 - the next tick must come
                self._log.exception("clock", "the periodic work of the broker failed")
            await next_tick(_TICK_S)

    def _tick(self, now_s: float) -> None:
        self._ticked_s = now_s
        self.router.deliverer.close_stalled()
        self._sessions.expire(now_s)
        self.router.expire(_MOST_EXPIRED)
        self._store.write_delayed(now_s)
        self._log.sweep()
        if now_s >= self._next_sys_s:
            self._next_sys_s = now_s + self._settings.sys_interval_s
            self._statistics.update_averages(now_s)
            self.router.publish_sys(sys_topics(self.snapshot))
