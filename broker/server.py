"""The broker that the hub embeds, as the hub sees it."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from broker.auth.gate import Gate
from broker.embedded.broker import HardenedBroker
from broker.embedded.net.accept import bind
from broker.embedded.net.listener import Listener
from broker.embedded.pin import require_amqtt
from broker.embedded.statistics import BrokerSnapshot
from broker.embedded.store.store import Store
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig

__all__ = ["EmbeddedBroker", "Listener"]

logger = logging.getLogger(__name__)

_STOP_S = 2.0


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in the running event loop, bounded by the [broker] table.

    `gate` says who may come in and what each may do. `store_dir`, which must exist, keeps sessions
    and retained messages; None keeps them in memory. Without `listeners` there is one, on
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
        self._broker: HardenedBroker | None = None
        self._store: Store | None = None

    async def start(self) -> None:
        """Listen, with what was on the disk.

        Raises MisconfiguredError where an address is taken or not this machine's, where the store
        may not be used, and where amqtt is of another version.
        """
        require_amqtt()
        # They log every step of their own.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.ERROR)
        store = Store(self._store_dir, self._settings)
        with contextlib.ExitStack() as stack:
            bound = [(each, stack.enter_context(bind(each))) for each in self._listeners]
            contents = await asyncio.to_thread(store.load, now_ms())
            # From here on the broker closes them.
            stack.pop_all()
        store.start()
        self._store = store
        self._broker = HardenedBroker(self._settings, self._gate, store, bound)
        self._broker.load(contents)
        await self._broker.start()
        for listener in self._listeners:
            logger.info("broker listening on %s%s", listener, " with TLS" if listener.tls else "")

    async def stop(self) -> None:
        """Close every connection, write what is kept. Twice is fine."""
        if self._broker is None or self._store is None:
            return
        broker, self._broker = self._broker, None
        store, self._store = self._store, None
        try:
            await asyncio.wait_for(broker.shutdown(), _STOP_S)
        except TimeoutError:
            logger.warning("the broker did not stop within %.0f s", _STOP_S)
        finally:
            await store.stop()

    def snapshot(self) -> BrokerSnapshot | None:
        """Return what the broker did and holds; None while it does not run."""
        return None if self._broker is None else self._broker.snapshot

    def disconnect(self, name: str) -> int:
        """Cut off every client that came in as `name` and forget its sessions.

        Returns how many sessions that were. Call it in the event loop.
        """
        return 0 if self._broker is None else self._broker.disconnect(name)
