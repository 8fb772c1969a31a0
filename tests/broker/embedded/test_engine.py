"""Engine: what it takes from the store at its start."""

import asyncio

from broker.embedded.engine import BrokerEngine
from broker.embedded.packets.model import Properties
from broker.embedded.store.records import Contents
from broker.embedded.store.store import Store
from broker.embedded.topics.retained import Retained
from bus.clock import now_ms
from bus.config.broker_table import BrokerConfig
from tests.support import OpenGate


def test_a_retained_message_that_expired_while_the_broker_was_away_is_gone_at_once() -> None:
    async def run() -> list[str]:
        settings = BrokerConfig()
        engine = BrokerEngine(settings, OpenGate(), Store(None, settings), [])
        minute = Properties(message_expiry_s=60)
        old = Retained("t/old", b"1", 1, now_ms() - 61_000, properties=minute)
        new = Retained("t/new", b"1", 1, now_ms(), properties=minute)
        engine.load(Contents(retained=[old, new]))
        return [kept.topic for kept in engine.router.retained.match("#")]

    assert asyncio.run(run()) == ["t/new"]
