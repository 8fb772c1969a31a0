"""Sessions of MQTT 5: expiry, wills, limits, and the broker's CONNACK and DISCONNECT."""

import asyncio
from pathlib import Path

import pytest

from broker.embedded.packets.codec import RECEIVE_MAXIMUM
from broker.embedded.packets.model import Properties
from tests.broker.embedded.conftest import WallClock
from tests.broker.embedded.gates import OwnTopics, Passwords
from tests.broker.embedded.raw import PUBACK, PUBCOMP, PUBREL, binary, packet, publish, uint16
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import (
    Raw5,
    client5,
    connect5,
    disconnect5,
    publish5,
    subscribe5,
)

pytestmark = ours_only

DAY_S = 86_400


def test_the_connack_says_what_the_broker_has() -> None:
    with running(packet_kb=64) as broker:
        found = client5(broker, "", keep_alive_s=30).connack.properties
        assert (found.assigned_client_id or "").startswith("auto-")
        assert (found.receive_maximum, found.maximum_packet_bytes) == (RECEIVE_MAXIMUM, 65_536)
        assert found.topic_alias_maximum == 10
        assert found.wildcard_available == found.shared_available == 1
        assert found.subscription_ids_available == 1
        assert (found.session_expiry_s, found.server_keep_alive_s) == (None, None)
        named = client5(broker, "named").connack.properties
        assert named.assigned_client_id is None


@pytest.mark.parametrize(("asked_s", "said_s"), [(0, 60), (60, None), (61, 60), (5, None)])
def test_the_broker_may_set_the_keep_alive(asked_s: int, said_s: int | None) -> None:
    with running(max_keep_alive_s=60) as broker:
        client = client5(broker, "c", keep_alive_s=asked_s)
        assert client.connack.properties.server_keep_alive_s == said_s
        if said_s is not None:
            broker.advance(1.5 * said_s + 1)
            broker.advance(1)
            assert client.goodbye() == 0x8D


def test_a_session_lives_as_long_as_the_client_says(wall_clock: WallClock) -> None:
    with running(session_days=1.0) as broker:

        def present(expiry_s: int | None, *, clean: bool = False, left: int = 0) -> bool:
            client = client5(broker, "c", clean=clean, session_expiry_s=expiry_s)
            client.leave()
            wall_clock.advance(left)
            return client.connack.session_present

        assert [present(None, clean=True), present(5)] == [False, False]
        assert [present(5, left=6), present(5, left=4), present(0), present(0)] == [
            True,
            False,
            True,
            False,
        ]
        most = client5(broker, "c", session_expiry_s=0xFFFFFFFF)
        assert most.connack.properties.session_expiry_s == DAY_S
        most.leave()
        wall_clock.advance(DAY_S + 1)
        broker.advance(2)
        broker.wait_until(lambda: broker.sessions() == 0)


def test_a_disconnect_may_change_the_expiry() -> None:
    with running() as broker:
        client5(broker, "c", session_expiry_s=5).leave(session_expiry_s=0)
        assert broker.sessions() == 0
        client5(broker, "c", session_expiry_s=5).leave(session_expiry_s=600)
        assert client5(broker, "c", clean=False).connack.session_present
        other = client5(broker, "other")
        other.send(disconnect5(session_expiry_s=5))
        assert other.goodbye() == 0x82


def test_a_session_is_resumed_with_another_version(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        old = broker.client("c", clean=False)
        old.subscribe(("t", 2))
        old.disconnect()
        client5(broker, "mouth").publish5("t", b"1", 2, content_type="x")
        new = client5(broker, "c", clean=False, session_expiry_s=600)
        assert new.connack.session_present
        assert [message.properties.content_type for message in new.take5(1)] == ["x"]
        new.leave()
        client5(broker, "mouth").publish5("t", b"2", 1)
        assert [message.payload for message in broker.client("c", clean=False).take(1)] == [b"2"]


def test_a_will_waits_and_has_its_properties() -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("will", 1))
        dead = _with_will(broker, "dead", delay_s=30)
        dead.reset()
        broker.wait_until(lambda: _connected(broker) == 1)
        broker.advance(20)
        assert ear.rest5() == []
        broker.advance(20)
        (found,) = ear.take5(1)
        assert (found.payload, found.properties) == (b"gone", Properties(content_type="x"))


def test_who_is_back_in_time_has_no_will() -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("will", 1))
        _with_will(broker, "late", delay_s=30).reset()
        broker.wait_until(lambda: _connected(broker) == 1)
        again = client5(broker, "late", clean=False, session_expiry_s=60)
        broker.advance(60)
        broker.advance(2)
        assert ear.rest5() == []
        again.leave()


def test_who_starts_anew_in_time_has_no_will_either() -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("will", 1))
        _with_will(broker, "late", delay_s=30).reset()
        broker.wait_until(lambda: _connected(broker) == 1)
        again = client5(broker, "late", clean=True)
        broker.advance(60)
        broker.advance(2)
        assert ear.rest5() == []
        again.leave()


def test_a_will_comes_at_once_when_the_session_ends() -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("will", 1))
        taken_over = _with_will(broker, "c", delay_s=600)
        client5(broker, "c", clean=True).leave()
        assert taken_over.goodbye() == 0x8E
        assert [message.payload for message in ear.take5(1)] == [b"gone"]
        _with_will(broker, "c", delay_s=600, expiry_s=0).reset()
        assert [message.payload for message in ear.take5(1)] == [b"gone"]


@pytest.mark.parametrize(("reason", "comes"), [(0x00, False), (0x04, True), (0x80, True)])
def test_a_disconnect_may_ask_for_the_will(reason: int, comes: bool) -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("will", 1))
        _with_will(broker, "c").leave(reason)
        assert len(ear.rest5()) == comes


def test_a_client_hears_why_it_is_disconnected() -> None:
    gate = OwnTopics()
    with running(gate) as broker:
        first = client5(broker, "twin")
        client5(broker, "twin")
        assert first.goodbye() == 0x8E
        large = client5(broker, "large")
        large.send(b"\x30\xff\xff\xff\x7f")
        assert large.goodbye() == 0x95
        twice = client5(broker, "twice")
        twice.send(connect5("twice"))
        assert twice.goodbye() == 0x82
        revoked = client5(broker, "revoked")
        broker.call(lambda: broker.broker.disconnect("revoked"))  # type: ignore[union-attr]
        assert revoked.goodbye() == 0x87
        last = client5(broker, "last")
        broker.run(_stop(broker))
        assert last.goodbye() == 0x8B


async def _stop(broker: Running) -> None:
    await asyncio.wait_for(broker.broker.stop(), 30)


def test_reason_strings_are_for_clients_that_ask_for_them() -> None:
    with running() as broker:
        for asked, has_text in ((None, False), (0, False), (1, True)):
            client = client5(broker, "c", request_problem=asked)
            client.send(packet(0x82, b"\0\0"))
            found = client.read()
            assert found is not None
            assert (b"packet identifier 0" in found[1]) is has_text
            client = client5(broker, "c", request_problem=asked)
            client.send(publish5("$SYS/x", b"x", 1))
            assert (b"may not use" in client.answer(PUBACK)) is has_text


def test_refusals_of_a_connect_have_the_codes_of_the_version() -> None:
    with running(Passwords()) as broker:
        for options, reason in (
            ({"username": "u", "password": b"wrong"}, 0x87),
            ({"authentication_method": "SCRAM"}, 0x8C),
            ({"will": ("a/#", b"", 0, False, Properties())}, 0x90),
        ):
            client = Raw5(broker.port)
            broker.close_later(client)
            found = client.ask("c", **options)  # type: ignore[arg-type]
            assert (found.reason, found.session_present) == (reason, False)
            assert client.is_closed()
        client = Raw5(broker.port)
        broker.close_later(client)
        client.send(packet(0x10, b"\0\4MQTT\5\2\0\0\x05"))
        assert client.read() == (0x20, b"\0\x81\0")


def test_a_client_gets_no_more_than_its_receive_maximum() -> None:
    with running(in_flight=20) as broker:
        ear = client5(broker, "ear", receive_maximum=2, session_expiry_s=60)
        ear.subscribe5(("t", 1))
        mouth = client5(broker, "mouth")
        for number in range(6):
            mouth.publish5("t", b"%d" % number)
        assert len(ear.rest5()) == 2
        ear.reset()
        # What was in flight comes again, within a lower limit.
        again = client5(broker, "ear", clean=False, receive_maximum=1, session_expiry_s=60)
        first = again.rest5()
        assert [message.payload for message in first] == [b"0"]
        again.send(packet(PUBACK << 4, uint16(first[0].packet_id)))
        assert [m.payload for m in again.take5(5)] == [b"1", b"2", b"3", b"4", b"5"]


def test_more_than_the_receive_maximum_of_the_broker_ends_the_connection() -> None:
    with running() as broker:
        mouth = client5(broker, "mouth")
        for number in range(RECEIVE_MAXIMUM):
            mouth.send(publish5("t", b"x", 2, packet_id=number + 1))
        # Again is not one more.
        mouth.send(publish5("t", b"x", 2, packet_id=1))
        mouth.send(packet(PUBREL << 4 | 2, uint16(1)))
        mouth.send(publish5("t", b"x", 2, packet_id=1))
        mouth.send(publish5("t", b"x", 2, packet_id=RECEIVE_MAXIMUM + 1))
        assert mouth.goodbye() == 0x93


def test_a_packet_that_is_too_large_for_a_client_is_not_sent() -> None:
    with running() as broker:
        ear = client5(broker, "ear", maximum_packet_bytes=60, topic_alias_maximum=5)
        ear.subscribe5(("#", 2))
        mouth = client5(broker, "mouth")
        for qos in (0, 1, 2):
            mouth.publish5("large", b"x" * 60, qos)
            mouth.publish5("small", b"%d" % qos, qos)
        found = ear.take5(3)
        assert [(message.payload, message.qos) for message in found] == [
            (b"0", 0),
            (b"1", 1),
            (b"2", 2),
        ]
        assert [message.properties.topic_alias for message in found] == [1, 1, 1]
        assert ear.rest5() == []
        snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
        assert snapshot is not None
        assert snapshot.publish.dropped == 3


def test_an_answer_that_is_too_large_for_a_client_is_not_sent() -> None:
    with running() as broker:
        client = client5(broker, "c", maximum_packet_bytes=60)
        filters = [(f"t/{number}", 0) for number in range(60)]
        client.send(subscribe5(*filters))
        texts = b"".join(binary(text.encode()) for text, _ in filters)
        client.send(publish5("t/7", b"after it"))
        # The subscriptions hold, and the first packet is no SUBACK.
        assert client.next5().payload == b"after it"
        client.send(packet(0xA2, uint16(2) + b"\0" + texts))
        client.ping5()


def test_the_maximum_packet_size_counts_every_byte() -> None:
    with running(packet_kb=4) as broker:
        most_bytes = client5(broker, "c").connack.properties.maximum_packet_bytes
        assert most_bytes == 4_096
        for more, is_allowed in ((0, True), (1, False)):
            client = client5(broker, "c")
            whole = publish5("t", bytes(most_bytes - 7 + more))
            assert len(whole) == most_bytes + more
            client.send(whole)
            if is_allowed:
                client.ping5()
            else:
                assert client.goodbye() == 0x95


@pytest.mark.parametrize("client_id", ["c", "c" * 100, ""])
def test_a_client_that_takes_small_packets_alone_hears_what_it_has_to_know(client_id: str) -> None:
    most_bytes = 16 + (0 if client_id else 44)
    options = {"session_expiry_s": 0xFFFFFFFF, "maximum_packet_bytes": most_bytes}
    with running(max_keep_alive_s=60) as broker:
        found = client5(broker, client_id, **options).connack.properties
        assert (found.receive_maximum, found.server_keep_alive_s) == (RECEIVE_MAXIMUM, 60)
        assert found.session_expiry_s
        assert bool(found.assigned_client_id) == (not client_id)


def test_a_pubrel_for_an_unknown_packet_id_ends_its_handshake() -> None:
    with running() as broker:
        mouth = client5(broker, "mouth")
        mouth.send(packet(PUBREL << 4 | 2, uint16(7)))
        # Without a code, which is success.
        assert mouth.answer(PUBCOMP) == uint16(7)


def test_a_client_that_takes_no_connack_is_refused() -> None:
    with running() as broker:
        client = Raw5(broker.port)
        broker.close_later(client)
        client.send(connect5("c", maximum_packet_bytes=4))
        assert client.read() is None


def test_a_client_of_3_1_1_hears_nothing_of_version_5() -> None:
    with running() as broker:
        old = broker.client("old")
        old.subscribe(("t", 1))
        client5(broker, "mouth").publish5("t", b"x", 1, user=(("a", "b"),))
        assert [(message.topic, message.payload) for message in old.take(1)] == [("t", b"x")]
        old.send(publish("t", b"y", 1, packet_id=0))
        # It is closed without a packet.
        assert old.read() is None


def test_packets_of_version_5_are_handled_while_a_publisher_waits() -> None:
    with running(queued_messages=2, in_flight=1) as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("t", 1))
        mouth = client5(broker, "mouth")
        for number in range(8):
            mouth.send(publish5("t", b"%d" % number, 1, packet_id=number + 1))
        mouth.send(subscribe5(("own", 0)))
        found = ear.take5(8)
        assert [message.payload for message in found] == [b"%d" % n for n in range(8)]
        for number in range(8):
            assert mouth.answer(PUBACK)[:2] == uint16(number + 1)


def _with_will(broker: Running, name: str, delay_s: int = 0, expiry_s: int = 60) -> Raw5:
    of_will = Properties(will_delay_s=delay_s or None, content_type="x")
    will = ("will", b"gone", 1, False, of_will)
    return client5(broker, name, will=will, session_expiry_s=expiry_s)


def _connected(broker: Running) -> int:
    snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
    assert snapshot is not None
    return snapshot.clients.connected
