"""The embedded MQTT broker: the one class that the hub uses."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from broker.auth.gate import Gate, Identity
from broker.embedded.amqtt_seam import AmqttBroker, require_amqtt
from broker.embedded.engine import BrokerEngine
from broker.embedded.net.acceptor import bind, bind_when_available
from broker.embedded.net.listener import Listener
from broker.embedded.router import TOPICS_OF_CLIENT
from broker.embedded.statistics import BrokerSnapshot
from broker.embedded.store.store import Store
from broker.local_link import MAX_DECISIONS, LocalLink, RoomFor
from broker.retained_source import RetainedSource
from bus.client.link import OnMessages
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig
from bus.config.homeassistant_table import DEFAULT_PREFIX
from bus.errors import MisconfiguredError
from bus.listen import AddressUnavailableError

logger = logging.getLogger(__name__)

_STOP_S = 2.0


class _Running(msgspec.Struct):
    engine: BrokerEngine
    amqtt: AmqttBroker
    store: Store
    # Closes the bound sockets, until the engine serves them.
    sockets: contextlib.ExitStack
    # Listeners whose addresses could not be had at once.
    later: list[Listener]
    is_listening: bool = False


class EmbeddedBroker:
    """An MQTT 5 and 3.1.1 broker in the running event loop, with the limits of the [broker] table.

    `gate` authenticates and authorizes. `store_dir`, which must exist, keeps sessions and retained
    messages, but for those that `retained_source` has; None keeps them in memory. Without
    `listeners` there is one, on `settings.listen` and `settings.port`.
    """

    def __init__(
        self,
        settings: BrokerConfig,
        gate: Gate,
        *,
        store_dir: Path | None = None,
        retained_source: RetainedSource | None = None,
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._store_dir = store_dir
        self._retained_source = retained_source
        self._listeners = listeners or [Listener(settings.listen, settings.port)]
        self._running: _Running | None = None
        # Listeners whose addresses cannot be had yet, with the tasks that wait for them.
        self._waiting: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Open and listen. Raises MisconfiguredError as `open` does."""
        await self.open()
        await self.listen()

    async def open(self) -> None:
        """Bind the addresses and load the store; clients that connect wait for `listen`.

        Waits until the first listener's address can be had; the other listeners join when theirs
        can. Raises MisconfiguredError where an address is none, where the store may not be used,
        and where amqtt has another version.
        """
        require_amqtt()
        # These libraries log every step of their own.
        for name in ("amqtt", "transitions", "websockets"):
            logging.getLogger(name).setLevel(logging.ERROR)
        store = Store(self._store_dir, self._settings, self._retained_source)
        first, *others = self._listeners
        later: list[Listener] = []
        with contextlib.ExitStack() as stack:
            bound = [(first, stack.enter_context(await bind_when_available(first)))]
            for listener in others:
                try:
                    bound.append((listener, stack.enter_context(bind(listener))))
                except AddressUnavailableError:
                    later.append(listener)
            contents = await asyncio.to_thread(store.load, now_ms())
            sockets = stack.pop_all()
        store.start()
        engine = BrokerEngine(self._settings, self._gate, store, bound)
        engine.load(contents)
        amqtt = AmqttBroker(engine.listen, engine.run_clock)
        self._running = _Running(engine, amqtt, store, sockets, later)

    async def listen(self) -> None:
        """Begin to serve clients. Call it once whoever must hear all of them has its link."""
        running = self._running
        if running is None or running.is_listening:
            return
        running.is_listening = True
        # From here on the acceptors close them.
        running.sockets.pop_all()
        await running.amqtt.start()
        for listener in self._listeners:
            if listener in running.later:
                task = asyncio.create_task(self._listen_later(running, listener))
                self._waiting[str(listener)] = task
            else:
                _log_listening(listener)

    async def stop_receiving(self) -> None:
        """Accept no more clients and handle nothing more that comes of one.

        So nothing more is acknowledged; what is published still reaches the clients, until `stop`.
        """
        if self._running is not None:
            await self._stop_waiting()
            await self._running.engine.stop_receiving()

    async def stop(self) -> None:
        """Close every connection and write what is kept. Stopping twice is fine."""
        if self._running is None:
            return
        running, self._running = self._running, None
        await self._stop_waiting()
        running.sockets.close()
        try:
            if running.is_listening:
                running.engine.end_all()
                await asyncio.wait_for(running.amqtt.shutdown(), _STOP_S)
        except TimeoutError:
            logger.warning("the broker did not stop within %.0f s", _STOP_S)
            running.engine.close_sockets()
        finally:
            await running.store.stop()

    @property
    def unavailable_addresses(self) -> list[str]:
        """The addresses that the broker should listen on and does not yet."""
        return list(self._waiting)

    def is_alive(self, patience_s: float) -> bool:
        """Whether the broker accepts connections and did its periodic work within `patience_s`."""
        return self._running is not None and self._running.engine.is_alive(patience_s)

    async def _listen_later(self, running: _Running, listener: Listener) -> None:
        try:
            bound = await bind_when_available(listener)
        except MisconfiguredError as e:
            # The broker stays for the clients of its other listeners.
            logger.error("%s", e)  # noqa: TRY400 - a person mends this; the sentence says it all
            return
        running.amqtt.add_server(str(listener), running.engine.listen_on(listener, bound))
        del self._waiting[str(listener)]
        _log_listening(listener)

    async def _stop_waiting(self) -> None:
        tasks = list(self._waiting.values())
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def snapshot(self) -> BrokerSnapshot | None:
        """Return the figures of the broker; None while it does not run."""
        return None if self._running is None else self._running.engine.snapshot

    def link(
        self,
        identity: Identity,
        *,
        on_messages: OnMessages,
        room_for: RoomFor,
        prefix: str = DEFAULT_PREFIX,
    ) -> LocalLink:
        """Return a link to the bus in this process, which is not started. The broker must run."""
        if self._running is None:
            raise RuntimeError("the broker does not run")
        router = self._running.engine.router
        return LocalLink(
            *(router, self._gate, identity),
            on_messages=on_messages,
            room_for=room_for,
            prefix=prefix,
            max_decisions=max(MAX_DECISIONS, TOPICS_OF_CLIENT * self._settings.connections),
        )

    def clear_retained(self, topic_filter: str, until_ms: int) -> int:
        """Delete matching retained messages that were stored until `until_ms`; return how many.

        Call it in the event loop.
        """
        if self._running is None:
            return 0
        return self._running.engine.clear_retained(topic_filter, until_ms)

    def disconnect(self, name: str) -> int:
        """End every connection of the user `name` and remove its sessions; return how many.

        Call it in the event loop.
        """
        return 0 if self._running is None else self._running.engine.clients.disconnect(name)


def _log_listening(listener: Listener) -> None:
    logger.info(
        "broker listening on %s%s%s",
        listener,
        " for WebSocket" if listener.websocket else "",
        " with TLS" if listener.tls else "",
    )
