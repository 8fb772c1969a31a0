"""Last wills through a kill of the broker: they wait for their clients, and then are published."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from broker.embedded.counters import Counters
from broker.embedded.packets.model import Properties, Will
from broker.embedded.router import Router
from broker.embedded.store.records import StoredWill
from broker.embedded.store.store import FILE_NAME, Store
from broker.embedded.wills import Wills
from bus.config.broker_table import BrokerConfig
from bus.limited_log import LimitedLog
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.killed import killed
from tests.broker.embedded.raw import RawClient
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import Raw5
from tests.support import WAIT_S, free_port

pytestmark = ours_only

LOST = ("node/status", b"lost", 1, True)
# Nobody waits for it in a test.
LONG_S = 3600


@contextlib.contextmanager
def node(port: int, *, clean: bool = True) -> Iterator[RawClient]:
    """Give a node that is online; its message is acknowledged once all before is on the disk."""
    with RawClient(port) as client:
        assert client.connect("node", clean=clean, will=LOST) == 0
        client.publish("node/status", b"online", retain=True)
        yield client


def say_online(port: int) -> None:
    """Publish the node's status for it; all that was done before is on the disk then."""
    with RawClient(port) as other:
        assert other.connect("other") == 0
        other.publish("node/status", b"online", retain=True)


def status(port: int, wanted: bytes = b"") -> bytes:
    """Return the node's retained status, once it is what is wanted."""
    deadline_s = time.monotonic() + WAIT_S
    with RawClient(port) as ear:
        assert ear.connect("ear") == 0
        ear.subscribe(("node/status", 1))
        found = ear.receive(WAIT_S).payload
        while wanted not in (b"", found) and time.monotonic() < deadline_s:
            found = ear.receive(WAIT_S).payload
    return found


def stored_wills(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as database:
        return int(database.execute("SELECT count(*) FROM wills").fetchone()[0])


def test_a_node_that_does_not_return_after_a_kill_is_lost(tmp_path: Path) -> None:
    port = free_port()
    for clean in (True, False):
        with contextlib.ExitStack() as stack:
            with killed(port, tmp_path):
                stack.enter_context(node(port, clean=clean))
            assert stored_wills(tmp_path) == 1
            with killed(port, tmp_path, will_grace_s=LONG_S):
                assert status(port) == b"online"
        # A will waits through any number of kills.
        with killed(port, tmp_path, will_grace_s=0):
            assert status(port, b"lost") == b"lost"
            say_online(port)
        assert stored_wills(tmp_path) == 0


def test_a_node_that_returns_in_time_is_not_lost(tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack, killed(port, tmp_path):
        stack.enter_context(node(port))
    with killed(port, tmp_path, will_grace_s=LONG_S):
        with node(port) as returned:
            returned.disconnect()
        say_online(port)
    assert stored_wills(tmp_path) == 0
    with killed(port, tmp_path, will_grace_s=0):
        assert status(port) == b"online"


def test_a_delayed_will_waits_through_a_kill_until_its_delay_is_over(tmp_path: Path) -> None:
    port = free_port()
    with killed(port, tmp_path):
        _leave_a_will(port, LONG_S)
        say_online(port)
    assert stored_wills(tmp_path) == 1
    with killed(port, tmp_path, will_grace_s=0):
        assert status(port) == b"online"
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as database, database:
        database.execute("UPDATE wills SET due_ms = 1")
    with killed(port, tmp_path, will_grace_s=0):
        assert status(port, b"gone") == b"gone"


def test_a_client_that_resumes_its_session_after_a_kill_cancels_its_delayed_will(
    tmp_path: Path,
) -> None:
    port = free_port()
    with killed(port, tmp_path):
        _leave_a_will(port, LONG_S)
        say_online(port)
    with killed(port, tmp_path):
        with Raw5(port) as late:
            assert late.open("late", clean=False, session_expiry_s=LONG_S).session_present
        say_online(port)
    assert stored_wills(tmp_path) == 0


def _leave_a_will(port: int, delay_s: int) -> None:
    will = ("node/status", b"gone", 1, True, Properties(will_delay_s=delay_s, content_type="x"))
    with Raw5(port) as late:
        late.open("late", will=will, session_expiry_s=LONG_S)


def test_the_will_of_an_account_that_lost_its_rights_meanwhile_is_dropped() -> None:
    async def run() -> list[str]:
        settings, counters = BrokerConfig(), Counters()
        gate, store = OwnTopics(), Store(None, settings)
        gate.revoked.add("refused")
        log = LimitedLog(logging.getLogger(__name__), 10, time.monotonic)
        router = Router(settings, gate, store, counters, log)
        wills = Wills(router, gate, store, grace_s=60)
        stored = {
            f"node:{name}:{name}": StoredWill(name, Will(f"{name}/t", b"x", 0, retain=True))
            for name in ("allowed", "refused")
        }
        wills.load(stored, now_s=100.0)
        wills.publish_due(159.0)
        assert len(router.retained) == 0
        wills.publish_due(160.0)
        return [kept.topic for kept in router.retained.match("#")]

    assert asyncio.run(run()) == ["allowed/t"]
