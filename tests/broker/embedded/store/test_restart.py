"""Restart of the broker after a kill or a stop, with its store on a real disk."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.embedded.amqtt_seam import require_amqtt
from broker.embedded.net.acceptor import bind
from broker.embedded.net.listener import Listener
from broker.embedded.store import write_throttle
from broker.embedded.store.file import Batch, Row, RowKey, StoreFile
from bus.errors import MisconfiguredError
from bus.listen import AddressUnavailableError
from tests.broker.embedded.killed import killed
from tests.broker.embedded.raw import PUBACK, RawClient, publish, uint16
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only
from tests.support import HOST, free_port


def client(port: int, name: str, *, clean: bool = False) -> RawClient:
    made = RawClient(port)
    assert made.connect(name, clean=clean) == 0
    return made


@contextmanager
def client_of_killed(port: int, folder: Path) -> Iterator[RawClient]:
    """Give a client, and kill the broker at once after its last step, before it disconnects."""
    with contextlib.ExitStack() as stack, killed(port, folder):
        kept = stack.enter_context(client(port, "kept"))
        yield kept


@ours_only
def test_a_running_broker_writes_the_changes_that_it_delayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.embedded.store.retained_rows.INTERVAL_S", 0.0)
    written: dict[RowKey, Row | None] = {}
    write = StoreFile.write

    def recorded(file: StoreFile, batch: Batch) -> None:
        write(file, batch)
        written.update(batch)

    monkeypatch.setattr(StoreFile, "write", recorded)
    last = b"%d" % (write_throttle.BURST + 5)
    with running(store_dir=tmp_path) as broker:
        changing = broker.client("changing")
        for number in range(write_throttle.BURST + 6):
            changing.publish("t", b"%d" % number, retain=True)

        def is_written() -> bool:
            row = written.get(("retained", ("t",)))
            return row is not None and row[1] == last

        broker.wait_until(is_written)


@ours_only
@pytest.mark.parametrize("qos", [1, 2])
def test_a_retained_message_on_its_way_survives_a_kill(qos: int, tmp_path: Path) -> None:
    port = free_port()
    with client_of_killed(port, tmp_path) as kept:
        with client(port, "pub", clean=True) as pub:
            pub.publish("t", b"retained", qos, retain=True)
        kept.subscribe(("t", qos))
        first = kept.receive()
        # What was put after the message is on the disk, so this is, too.
        with client(port, "pub", clean=True) as pub:
            pub.publish("other", b"x", 2, retain=True)
    with killed(port, tmp_path), client(port, "kept") as kept, client(port, "pub") as pub:
        again = kept.receive()
        assert (again.payload, again.dup, again.retain) == (b"retained", True, True)
        assert again.packet_id == first.packet_id
        pub.publish("t", b"next", qos)
        assert kept.receive().packet_id != first.packet_id


@ours_only
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with killed(port, tmp_path):
        with client(port, "away") as away:
            away.subscribe(("t", 1))
        with client(port, "half") as half, client(port, "pub", clean=True) as pub:
            half.subscribe(("t", 1))
            for n in range(20):
                pub.publish(f"kept/{n}", b"%d" % n, retain=True)
            pub.publish("kept/0", b"", retain=True)
            pub.send(b"".join(publish("t", b"%d" % n, 1, packet_id=n + 1) for n in range(200)))
            taken = half.take(50)
            for n in range(200):
                assert pub.expect(PUBACK) == uint16(n + 1)
            half.ping()
    with killed(port, tmp_path):
        with client(port, "away") as away:
            assert away.session_present
            assert [m.payload for m in away.take(200)] == [b"%d" % n for n in range(200)]
        with client(port, "half") as half:
            rest = half.take_rest(150)
            again = {m.payload for m in taken} & {m.payload for m in rest}
            # What was acknowledged within the last commit may come twice, and nothing is missing.
            assert {m.payload for m in (*taken, *rest)} == {b"%d" % n for n in range(200)}
            assert len(again) <= 50
            assert rest[0].dup
        with client(port, "late", clean=True) as late:
            late.subscribe(("kept/#", 1))
            assert {m.payload for m in late.take_rest(19)} == {b"%d" % n for n in range(1, 20)}


@ours_only
def test_an_acknowledged_subscription_and_its_removal_survive_a_kill(tmp_path: Path) -> None:
    port = free_port()
    with client_of_killed(port, tmp_path) as kept:
        kept.subscribe(("a", 1), ("b", 1))
    with client_of_killed(port, tmp_path) as kept:
        assert kept.session_present
        kept.unsubscribe("b")
    with killed(port, tmp_path):
        with client(port, "pub", clean=True) as pub:
            pub.publish("b", b"b")
            pub.publish("a", b"a")
        with client(port, "kept") as kept:
            assert kept.session_present
            assert [m.payload for m in kept.take_rest(1)] == [b"a"]


@ours_only
def test_subscriptions_and_their_removal_survive_a_restart(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        kept = broker.client("kept", clean=False)
        kept.subscribe(("a", 1), ("b", 1))
        kept.unsubscribe("b")
        gone = broker.client("gone", clean=False)
        gone.subscribe(("a", 1))
        gone.disconnect()
        broker.client("gone", clean=True).disconnect()
    with running(store_dir=tmp_path) as broker:
        pub = broker.client("pub")
        pub.publish("a", b"a")
        pub.publish("b", b"b")
        assert broker.sessions() == 2
        assert [m.payload for m in broker.client("kept", clean=False).take_rest(1)] == [b"a"]


def test_another_version_of_amqtt_is_refused_with_one_clear_line() -> None:
    require_amqtt()
    with pytest.raises(MisconfiguredError, match=r"found version 0\.13\.0, expected 0\.12\.1"):
        require_amqtt("0.13.0")


def test_an_address_that_is_not_ours_names_its_key() -> None:
    with pytest.raises(
        AddressUnavailableError, match=r"broker\.tls_port: cannot listen on 192\.0\.2\.1"
    ):
        bind(Listener("192.0.2.1", 1, key="broker.tls_port"))
    with bind(Listener("::1", free_port())) as bound:
        assert bound.getsockname()[0] == "::1"
    assert HOST
