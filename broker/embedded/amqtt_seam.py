"""amqtt: every subclass of its classes and every use of its private parts.

Of amqtt run its life cycle (`start`, `shutdown`, the states between them) and its table of servers.
Everything that an MQTT client sees is the engine's, which does not import amqtt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Protocol

from amqtt.broker import Broker, ExternalServer
from amqtt.contexts import BrokerConfig, ListenerConfig

from bus.errors import MisconfiguredError
from bus.install.hint import install_extra

# The subclasses reach into its internals, and each of its faults has a test of ours.
AMQTT_VERSION = "0.12.1"
# amqtt wants to know of one listener; the sockets are bound before it starts.
_LISTENERS = {"default": ListenerConfig(bind="127.0.0.1:0")}


class Closable(Protocol):
    """A listening socket that is being served."""

    async def close(self) -> None:
        """Stop listening and end every connection."""


class AmqttBroker(Broker):
    """amqtt's broker with its listeners and background tasks replaced.

    `listen` begins to accept connections and returns what to close at shutdown. `run_clock` is
    cancelled then.
    """

    def __init__(
        self,
        listen: Callable[[], Mapping[str, Closable]],
        run_clock: Callable[[], Awaitable[None]],
    ) -> None:
        config = BrokerConfig(listeners=dict(_LISTENERS), plugins={})
        super().__init__(config, asyncio.get_running_loop())
        self._listen = listen
        self._run_clock = run_clock

    def add_server(self, name: str, served: Closable) -> None:
        """Close one more listening socket at shutdown."""
        self._servers[name] = _Server(served)

    async def _start_listeners(self) -> None:
        for name, served in self._listen().items():
            self.add_server(name, served)

    async def _session_monitor(self) -> None:
        await self._run_clock()

    async def _broadcast_loop(self) -> None:
        # Nothing enters amqtt's queue: a message goes to the queue of each session at once.
        await self._broadcast_shutdown_waiter


class _Server(ExternalServer):
    def __init__(self, served: Closable) -> None:
        super().__init__()
        self._served = served

    async def close_instance(self) -> None:
        await self._served.close()


def require_amqtt(found: str | None = None) -> None:
    """Raise MisconfiguredError where amqtt is not the version that this module was written for."""
    found = found or version("amqtt")
    if found != AMQTT_VERSION:
        raise MisconfiguredError(
            f"amqtt: found version {found}, expected {AMQTT_VERSION}; run `{install_extra('hub')}`"
        )
