"""Back-pressure: a publisher waits for a slow subscriber, and nothing acknowledged is lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker.embedded.packets.model import PacketType
from broker.embedded.store.file import Batch, StoreFile
from tests.broker.embedded.raw import PUBACK, RawClient, packet, publish, uint16
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.support import WAIT_S

pytestmark = ours_only

WINDOW = 100


def _burst(topic: str, numbers: range) -> bytes:
    return b"".join(publish(topic, b"%d" % n, 1, packet_id=n + 1) for n in numbers)


def _publish_in_windows(client: RawClient, topic: str, count: int) -> None:
    for start in range(0, count, WINDOW):
        client.send(_burst(topic, range(start, start + WINDOW)))
        for _ in range(WINDOW):
            client.expect(PUBACK)


def _figures(broker: Running) -> tuple[int, int]:
    """Return how many messages were dropped and how many clients cut off."""
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert snapshot is not None
    return snapshot.publish.dropped, snapshot.refused["queue"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_burst_waits_for_a_subscriber_that_is_slower(clean: bool, tmp_path: Path) -> None:
    count = 3_000
    with running(queued_messages=50, in_flight=1, store_dir=tmp_path) as broker:
        slow = broker.client("slow", clean=clean)
        slow.subscribe(("t", 1))
        publisher = broker.client("publisher")
        with ThreadPoolExecutor(1) as pool:
            publishing = pool.submit(_publish_in_windows, publisher, "t", count)
            taken = [message.payload for message in slow.take(count, WAIT_S)]
            publishing.result(WAIT_S)
        assert taken == [b"%d" % n for n in range(count)]
        assert _figures(broker) == (0, 0)


def _publish_all_then_take_all(client: RawClient, topic: str, count: int) -> set[bytes]:
    """Send everything without reading; then read, and acknowledge, everything."""
    client.send(_burst(topic, range(count)))
    taken: set[bytes] = set()
    acknowledged = 0
    while len(taken) < count or acknowledged < count:
        found = client.read(WAIT_S)
        assert found is not None, "the broker closed the connection"
        if found[0] >> 4 == PUBACK:
            acknowledged += 1
            continue
        length = int.from_bytes(found[1][:2])
        packet_id = int.from_bytes(found[1][2 + length : 4 + length])
        taken.add(found[1][4 + length :])
        client.send(packet(PUBACK << 4, uint16(packet_id)))
    return taken


def test_a_client_that_fills_its_own_queue_does_not_wait_for_itself() -> None:
    count = 1_500
    with running(queued_messages=100) as broker:
        client = broker.client("echo")
        client.subscribe(("echo", 1))
        taken = _publish_all_then_take_all(client, "echo", count)
        assert len(taken) == count
        assert _figures(broker) == (0, 0)


def test_two_clients_that_fill_each_other_s_queues_do_not_wait_for_ever() -> None:
    count = 1_500
    with running(queued_messages=100) as broker:
        clients = {name: broker.client(name) for name in ("a", "b")}
        for name, client in clients.items():
            client.subscribe((name, 1))
        with ThreadPoolExecutor(2) as pool:
            taking = [
                pool.submit(_publish_all_then_take_all, clients[name], to, count)
                for name, to in (("a", "b"), ("b", "a"))
            ]
            assert [len(each.result(WAIT_S)) for each in taking] == [count, count]
        assert _figures(broker) == (0, 0)


def test_who_has_less_than_its_share_in_a_full_queue_does_not_wait() -> None:
    with running(queued_messages=100, stalled_s=600) as broker:
        broker.client("deaf").subscribe(("t", 1))
        flooder = broker.client("flooder")
        flooder.send(_burst("t", range(400)))
        broker.wait_until(lambda: _queued(broker) >= 100)
        broker.client("bystander").publish("t", b"mine")
        # What came behind the message that waits is answered all the same.
        flooder.send(b"\xc0\0")
        answers = {found[0] >> 4 for found in _read_until_pingresp(flooder)}
        assert answers == {PUBACK}
        assert _queued(broker) < 200


def _queued(broker: Running) -> int:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert snapshot is not None
    return snapshot.stored.queued_messages


def _read_until_pingresp(client: RawClient) -> Iterator[tuple[int, bytes]]:
    while (found := client.read()) is not None and found[0] >> 4 != PacketType.PINGRESP:
        yield found


def test_a_held_publisher_goes_on_when_the_subscriber_leaves() -> None:
    with running(queued_messages=100, stalled_s=600) as broker:
        deaf = broker.client("deaf")
        deaf.subscribe(("t", 1))
        publisher = broker.client("publisher")
        with ThreadPoolExecutor(1) as pool:
            publishing = pool.submit(_publish_in_windows, publisher, "t", 1_000)
            broker.wait_until(lambda: _queued(broker) >= 100)
            deaf.reset()
            publishing.result(WAIT_S)


def test_a_held_publisher_that_says_good_bye_leaves_nothing_behind() -> None:
    with running(queued_messages=100, stalled_s=600) as broker:
        deaf = broker.client("deaf")
        deaf.subscribe(("t", 1), ("will", 1))
        publisher = broker.client("publisher", will=("will", b"gone", 1, False))
        publisher.send(_burst("t", range(300)) + b"\xe0\0")
        broker.wait_until(lambda: _queued(broker) >= 100)
        taken = [message.payload for message in deaf.take(300)]
        assert taken == [b"%d" % n for n in range(300)]
        broker.wait_until(lambda: broker.sessions() == 1)
        deaf.ping()
        assert deaf.messages == []


def test_messages_queued_for_a_client_that_takes_them_are_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("store.writer.INTERVAL_S", "outgoing.deliverer.TAKING_S"):
        monkeypatch.setattr(f"broker.embedded.{module}", 3_600.0)
    tables: set[str] = set()
    write = StoreFile.write

    def recorded(file: StoreFile, batch: Batch) -> None:
        tables.update(table for table, _ in batch)
        write(file, batch)

    monkeypatch.setattr(StoreFile, "write", recorded)
    with running(store_dir=tmp_path, in_flight=5) as broker:
        taker, publisher = broker.client("taker", clean=False), broker.client("publisher")
        taker.subscribe(("t", 1))
        for count in (1, 40):
            publisher.send(_burst("t", range(count)))
            assert [m.payload for m in taker.take(count)] == [b"%d" % n for n in range(count)]
            for _ in range(count):
                publisher.expect(PUBACK)
    assert "subscriptions" in tables
    assert "messages" not in tables


def test_an_away_session_s_message_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that waits for each acknowledgement does not wait for a commit's interval."""
    monkeypatch.setattr("broker.embedded.store.writer.INTERVAL_S", 3_600.0)
    with running(store_dir=tmp_path) as broker:
        with broker.client("away", clean=False) as away:
            away.subscribe(("t", 1))
        broker.wait_until(lambda: _is_away(broker))
        publisher = broker.client("publisher")
        for n in range(20):
            publisher.publish("t", b"%d" % n)
            publisher.publish("kept", b"%d" % n, retain=True)


def _is_away(broker: Running) -> bool:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    return snapshot is not None and snapshot.clients.disconnected == 1


def test_half_open_connections_take_no_place_of_a_client() -> None:
    with running(logins_per_address=8, connect_timeout_s=30) as broker:
        for address in ("127.0.0.2", "127.0.0.3") * 100:
            broker.raw(address)
        broker.wait_until(lambda: _sockets(broker) == 200)
        broker.client("local").ping()
        other = broker.raw("127.0.0.4")
        assert other.connect("other") == 0
        # Those without a place wait for one, as long as for a CONNECT.
        broker.advance(31)
        broker.wait_until(lambda: _refused(broker) >= 200 - 16)


def test_where_others_wait_to_log_in_the_same_address_still_gets_in() -> None:
    with running(logins_per_address=4, connect_timeout_s=30) as broker:
        for _ in range(20):
            broker.raw("127.0.0.2")

        def comes_in() -> bool:
            with broker.raw("127.0.0.2") as client:
                return client.connect("late") == 0

        broker.wait_until(comes_in)


def test_a_connect_has_a_few_kilobytes() -> None:
    with running() as broker:
        client = broker.raw()
        client.send(b"\x10" + b"\x81\x80\x01")
        assert client.is_closed()
        within = broker.client("within", will=("t", b"x" * 15_000, 0, False))
        within.publish("t", b"x" * 100_000)


def _refused(broker: Running) -> int:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert snapshot is not None
    return snapshot.refused["logins_per_address"]


def _sockets(broker: Running) -> int:
    """Return how many connections were accepted, those that were refused included."""
    return broker.call(lambda: broker.broker._running.engine._counters.sockets)  # type: ignore[union-attr]
