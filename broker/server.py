"""The embedded MQTT broker: the one class that the hub uses."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from broker.auth.gate import Gate
from broker.embedded.amqtt_seam import AmqttBroker, require_amqtt
from broker.embedded.engine import BrokerEngine
from broker.embedded.net.acceptor import bind
from broker.embedded.net.listener import Listener
from broker.embedded.statistics import BrokerSnapshot
from broker.embedded.store.store import Store
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig

logger = logging.getLogger(__name__)

_STOP_S = 2.0


class _Running(msgspec.Struct, frozen=True):
    engine: BrokerEngine
    amqtt: AmqttBroker
    store: Store


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in the running event loop, with the limits of the [broker] table.

    `gate` authenticates and authorizes. `store_dir`, which must exist, keeps sessions and retained
    messages; None keeps them in memory. Without `listeners` there is one, on
    `settings.listen` and `settings.port`.
    """

    def __init__(
        self,
        settings: BrokerConfig,
        gate: Gate,
        *,
        store_dir: Path | None = None,
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._store_dir = store_dir
        self._listeners = listeners or [Listener(settings.listen, settings.port)]
        self._running: _Running | None = None

    async def start(self) -> None:
        """Listen, with the contents of the store.

        Raises MisconfiguredError where an address cannot be used, where the store may not be used,
        and where amqtt has another version.
        """
        require_amqtt()
        # These libraries log every step of their own.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.ERROR)
        store = Store(self._store_dir, self._settings)
        with contextlib.ExitStack() as stack:
            bound = [(each, stack.enter_context(bind(each))) for each in self._listeners]
            contents = await asyncio.to_thread(store.load, now_ms())
            # From here on the acceptors close them.
            stack.pop_all()
        store.start()
        engine = BrokerEngine(self._settings, self._gate, store, bound)
        engine.load(contents)
        amqtt = AmqttBroker(engine.listen, engine.run_clock)
        self._running = _Running(engine, amqtt, store)
        await amqtt.start()
        for listener in self._listeners:
            logger.info("broker listening on %s%s", listener, " with TLS" if listener.tls else "")

    async def stop(self) -> None:
        """Close every connection and write what is kept. Stopping twice is fine."""
        if self._running is None:
            return
        running, self._running = self._running, None
        try:
            running.engine.end_all()
            await asyncio.wait_for(running.amqtt.shutdown(), _STOP_S)
        except TimeoutError:
            logger.warning("the broker did not stop within %.0f s", _STOP_S)
        finally:
            await running.store.stop()

    def snapshot(self) -> BrokerSnapshot | None:
        """Return the figures of the broker; None while it does not run."""
        return None if self._running is None else self._running.engine.snapshot

    def disconnect(self, name: str) -> int:
        """End every connection of the user `name` and remove its sessions; return how many.

        Call it in the event loop.
        """
        return 0 if self._running is None else self._running.engine.disconnect(name)
