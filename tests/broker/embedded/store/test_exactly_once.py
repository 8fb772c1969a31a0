"""QoS 2: each message once, through cut connections and kills of the broker."""

import contextlib
import random
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from broker.embedded.store.file import StoreFile
from tests.broker.embedded.exactly_once import Publisher, Subscriber, serve
from tests.broker.embedded.killed import killed
from tests.broker.embedded.raw import PUBACK, PUBCOMP, PUBREC, PUBREL, packet, publish, uint16
from tests.broker.embedded.running import running
from tests.broker.embedded.store.test_restart import client
from tests.broker.embedded.switch import ours_only
from tests.support import free_port

pytestmark = ours_only

KILLS = 8
MESSAGES = 400


def test_what_was_not_received_comes_again_and_what_was_is_only_released() -> None:
    with running() as broker:
        sub = broker.client("sub", clean=False)
        sub.subscribe(("t", 2))
        publisher = broker.client("publisher")
        for payload in (b"first", b"second"):
            publisher.publish("t", payload, qos=2)
        first, second = sub.receive(), sub.receive()
        sub.send(packet(PUBREC << 4, uint16(first.packet_id)))
        assert sub.expect(PUBREL) == uint16(first.packet_id)
        sub.reset()
        again = broker.client("sub", clean=False)
        assert again.expect(PUBREL) == uint16(first.packet_id)
        again.send(packet(PUBCOMP << 4, uint16(first.packet_id)))
        repeated = again.receive()
        assert (repeated.payload, repeated.dup) == (b"second", True)
        assert repeated.packet_id == second.packet_id
        again.acknowledge(repeated)
        again.reset()
        third = broker.client("sub", clean=False)
        assert third.take_rest() == []


def test_a_client_that_lost_its_state_may_use_a_packet_id_again() -> None:
    with running() as broker:
        sub = broker.client("sub")
        sub.subscribe(("t", 2))
        device = broker.client("device", clean=False)
        device.send(publish("t", b"old", 2, packet_id=1))
        assert device.expect(PUBREC) == uint16(1)
        device.reset()
        device = broker.client("device", clean=False)
        # Sent again, also without DUP, it is the same message.
        for dup in (True, False):
            device.send(publish("t", b"old", 2, packet_id=1, dup=dup))
            assert device.expect(PUBREC) == uint16(1)
        device.send(publish("t", b"new", 2, packet_id=1))
        assert device.expect(PUBREC) == uint16(1)
        device.send(packet(PUBREL << 4 | 2, uint16(1)))
        assert device.expect(PUBCOMP) == uint16(1)
        assert [m.payload for m in sub.take_rest(2)] == [b"old", b"new"]


@pytest.mark.parametrize("wrong", [PUBACK, PUBCOMP])
def test_a_wrong_answer_ends_the_connection_and_not_the_message(wrong: int) -> None:
    with running() as broker:
        sub = broker.client("sub", clean=False)
        sub.subscribe(("t", 2))
        broker.client("publisher").publish("t", b"x", qos=2)
        found = sub.receive()
        sub.send(packet(wrong << 4, uint16(found.packet_id)))
        assert sub.is_closed()
        assert [m.payload for m in broker.client("sub", clean=False).take(1)] == [b"x"]


def test_a_kill_forgets_no_packet_id(tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack, killed(port, tmp_path):
        sub = stack.enter_context(client(port, "sub"))
        publisher = stack.enter_context(client(port, "publisher"))
        sub.subscribe(("t", 2))
        publisher.send(publish("t", b"once", 2, packet_id=7))
        assert publisher.expect(PUBREC) == uint16(7)
        found = sub.receive()
        sub.send(packet(PUBREC << 4, uint16(found.packet_id)))
        assert sub.expect(PUBREL) == uint16(found.packet_id)
    with contextlib.ExitStack() as stack, killed(port, tmp_path):
        again = stack.enter_context(client(port, "sub"))
        publisher = stack.enter_context(client(port, "publisher"))
        assert again.expect(PUBREL) == uint16(found.packet_id)
        again.send(packet(PUBCOMP << 4, uint16(found.packet_id)))
        publisher.send(publish("t", b"once", 2, packet_id=7, dup=True))
        assert publisher.expect(PUBREC) == uint16(7)
        publisher.send(packet(PUBREL << 4 | 2, uint16(7)))
        assert publisher.expect(PUBCOMP) == uint16(7)
        # The id is free again.
        publisher.send(publish("t", b"next", 2, packet_id=7))
        assert publisher.expect(PUBREC) == uint16(7)
        assert [m.payload for m in again.take_rest(1)] == [b"next"]


def test_each_message_comes_once_through_kills_and_cut_connections(tmp_path: Path) -> None:
    port, rng = free_port(), random.Random(2)
    sides = Publisher(MESSAGES), Subscriber()
    for _ in range(KILLS):
        with killed(port, tmp_path):
            with client(port, "sub") as sub:
                sides[1].resume(sub)
            cut = Traffic(port, sides, rng.randrange(10, 60))
            cut.wait()
            cut.end()
            traffic = Traffic(port, sides, rng.randrange(10, 60))
            traffic.wait()
        traffic.end()
    with killed(port, tmp_path):
        for _ in range(100):
            rest = Traffic(port, sides, 10 * MESSAGES)
            rest.wait()
            rest.end()
            if sides[0].is_done and len(sides[1].received) >= MESSAGES:
                break
    assert sorted(sides[1].received) == list(range(MESSAGES))


class Traffic:
    """Both clients at work, each in a thread, until `end` or the end of the broker."""

    def __init__(self, port: int, sides: tuple[Publisher, Subscriber], packets: int) -> None:
        self._reached = threading.Event()
        self._clients = [client(port, "publisher"), client(port, "sub")]
        self._threads = [
            threading.Thread(target=serve, args=(side, each, packets, self._reached))
            for side, each in zip(sides, self._clients, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Wait until one of them has handled so many packets, or has nothing to do."""
        self._reached.wait()

    def end(self) -> None:
        for each in self._clients:
            # The broker may have closed it.
            with contextlib.suppress(OSError):
                each.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._clients:
            each.reset()


def test_a_store_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite3"
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB NOT NULL,
                qos INTEGER NOT NULL, stored_ms INTEGER NOT NULL) STRICT;
            CREATE TABLE sessions (session TEXT PRIMARY KEY, client_id TEXT NOT NULL,
                left_ms INTEGER) STRICT;
            CREATE TABLE subscriptions (session TEXT NOT NULL, filter TEXT NOT NULL,
                qos INTEGER NOT NULL, PRIMARY KEY (session, filter)) STRICT, WITHOUT ROWID;
            CREATE TABLE messages (message_id INTEGER PRIMARY KEY, session TEXT NOT NULL,
                topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
                retain INTEGER NOT NULL, packet_id INTEGER, queued_ms INTEGER NOT NULL) STRICT;
            INSERT INTO sessions VALUES ('hub:c:c', 'c', 5);
            INSERT INTO messages VALUES (3, 'hub:c:c', 't', x'78', 1, 0, 9, 7);
            PRAGMA user_version=1;
        """)
    database.close()
    file = StoreFile(path)
    contents = file.load()
    file.close()
    (found,) = contents.sessions["hub:c:c"].messages
    assert (found.message_id, found.payload, found.packet_id, found.released) == (3, b"x", 9, False)


@pytest.mark.parametrize("clean", [True, False])
def test_qos_2_arrives_in_its_order(clean: bool, tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        sub = broker.client("sub", clean=clean)
        sub.subscribe(("t", 2))
        publisher = broker.client("publisher", clean=clean)
        for number in range(50):
            publisher.publish("t", b"%d" % number, qos=2)
        found = sub.take(50)
        assert [(m.payload, m.qos) for m in found] == [(b"%d" % n, 2) for n in range(50)]
