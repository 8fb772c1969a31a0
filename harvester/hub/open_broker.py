"""The embedded broker by itself, open to everyone on this machine: for suites and benchmarks."""

import asyncio
import logging
import os
import signal
import sys

from broker.auth.gate import Attempt, Identity, Role
from broker.embedded.net.listener import Listener
from broker.server import EmbeddedBroker
from bus import journal_log
from bus.config.broker_table import BrokerConfig
from bus.listen import listen

HOST = "127.0.0.1"


class OpenGate:
    """Lets everyone in, as the hub, and allows everything."""

    @property
    def generation(self) -> int:
        return 0

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        return Identity(attempt.username or "anyone", Role.HUB)

    def may_publish(self, _identity: Identity, _topic: str) -> bool:
        return True

    def may_subscribe(self, _identity: Identity, _topic_filter: str) -> bool:
        return True

    def may_receive(self, _identity: Identity, _topic: str) -> bool:
        return True


class SuiteGate(OpenGate):
    """Open, but for the one filter that Eclipse Paho's suite expects any broker to refuse."""

    def may_subscribe(self, _identity: Identity, topic_filter: str) -> bool:
        return topic_filter != "test/nosubscribe"


def run(settings: BrokerConfig) -> None:
    """Serve `settings.port` on the loopback address until SIGINT or SIGTERM; nothing is kept.

    Raises AddressUnavailableError where the port is taken: a person waits for it.
    """
    listen(HOST, settings.port, key="broker.port").close()
    journal_log.set_up(logging.INFO, sys.stderr, os.environ)
    asyncio.run(_serve(settings))


async def _serve(settings: BrokerConfig) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    broker = EmbeddedBroker(settings, SuiteGate(), listeners=[Listener(HOST, settings.port)])
    await broker.start()
    await stopping.wait()
    await broker.stop()
