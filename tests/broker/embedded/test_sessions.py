"""Session registry: opening a session costs no look at those of other users."""

import asyncio
import logging
import time
from collections.abc import Iterator

from broker.auth.gate import Identity, Role
from broker.embedded.connect.accept import AcceptedConnect
from broker.embedded.counters import Counters
from broker.embedded.packets.model import Connect
from broker.embedded.router import Router
from broker.embedded.session import ClientSession
from broker.embedded.sessions import Sessions
from broker.embedded.store.store import Store
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog
from tests.support import OpenGate


class CountingSessions(Sessions):
    """Counts how often all sessions are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[ClientSession]:
        self.looks += 1
        return super().__iter__()


def accepted(name: str, client_id: str) -> AcceptedConnect:
    connect = Connect(
        client_id=client_id,
        clean_session=False,
        keep_alive_s=0,
        will=None,
        username=name,
        password=None,
    )
    return AcceptedConnect(connect, Identity(name, Role.NODE), connect)


def make_sessions(**keys: int) -> CountingSessions:
    settings = BrokerConfig(**keys)
    store, counters = Store(None, settings), Counters()
    log = LimitedLog(logging.getLogger(__name__), 10, time.monotonic)
    gate = OpenGate()
    router = Router(settings, gate, store, counters, log)
    return CountingSessions(settings, gate, store, router, counters)


def test_opening_and_removing_a_session_looks_at_no_other_user() -> None:
    async def run() -> None:
        sessions = make_sessions(sessions=1000)
        for number in range(500):
            opened = sessions.open(accepted(f"node-{number}", "c"), lambda _session: None)
            assert opened is not None
            if number % 2:
                sessions.remove(opened[0])
        assert (len(sessions), sessions.looks) == (250, 0)

    asyncio.run(run())


def test_a_user_with_its_share_loses_its_longest_absent_session() -> None:
    async def run() -> None:
        sessions = make_sessions(sessions=8)
        for number in range(4):
            opened = sessions.open(accepted("pi4", f"c{number}"), lambda _session: None)
            assert opened is not None
            sessions.disconnected(opened[0])
        kept = {session.client_id for session in sessions}
        assert "c3" in kept
        assert len(kept) < 4

    asyncio.run(run())
