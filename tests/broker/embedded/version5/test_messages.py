"""Messages of MQTT 5: properties, expiry, aliases, and what clients of 3.1.1 see of them."""

from pathlib import Path

import pytest

from broker.embedded.packets.model import Properties
from tests.broker.embedded.conftest import WallClock
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import PUBREC, packet, uint16
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import client5, publish5

pytestmark = ours_only

SENT = Properties(
    payload_format=1,
    content_type="text/plain",
    response_topic="answers/1",
    correlation_data=b"\0\1",
    user=(("b", "1"), ("a", "2"), ("b", "3")),
)
FIELDS = {
    "payload_format": 1,
    "content_type": "text/plain",
    "response_topic": "answers/1",
    "correlation_data": b"\0\1",
    "user": SENT.user,
}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_reach_the_receivers_in_their_order(qos: int) -> None:
    with running() as broker:
        ear, old = client5(broker, "ear"), broker.client("old")
        assert ear.subscribe5(("t", 2)) == [2]
        old.subscribe(("t", 2))
        assert client5(broker, "mouth").publish5("t", b"x", qos, **FIELDS) == 0
        (found,) = ear.take5(1)
        assert (found.payload, found.qos, found.properties) == (b"x", qos, SENT)
        assert [message.payload for message in old.take(1)] == [b"x"]


def test_retained_and_queued_messages_keep_their_properties_through_a_restart(
    tmp_path: Path,
) -> None:
    with running(store_dir=tmp_path) as broker:
        ear = client5(broker, "ear", session_expiry_s=600)
        ear.subscribe5(("t", 1))
        ear.leave()
        mouth = client5(broker, "mouth")
        mouth.publish5("t", b"x", 1, retain=True, **FIELDS)
    with running(store_dir=tmp_path) as broker:
        ear = client5(broker, "ear", clean=False, session_expiry_s=600)
        assert ear.connack.session_present
        assert [(m.payload, m.properties) for m in ear.take5(1)] == [(b"x", SENT)]
        other = client5(broker, "other")
        other.subscribe5(("t", 1))
        assert [(m.retain, m.properties) for m in other.take5(1)] == [(True, SENT)]


def test_what_expires_is_counted_down_and_removed(wall_clock: WallClock, tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        ear = client5(broker, "ear", session_expiry_s=600)
        ear.subscribe5(("q", 1))
        ear.leave()
        mouth = client5(broker, "mouth")
        for payload, expiry_s in ((b"short", 5), (b"long", 100)):
            mouth.publish5("q", payload, 1, message_expiry_s=expiry_s)
            mouth.publish5(
                f"r/{payload.decode()}", payload, 1, retain=True, message_expiry_s=expiry_s
            )
        mouth.publish5("q", b"ever")
        wall_clock.advance(30)
        ear = client5(broker, "ear", clean=False, session_expiry_s=600)
        found = ear.take5(2)
        assert [(m.payload, m.properties.message_expiry_s) for m in found] == [
            (b"long", 70),
            (b"ever", None),
        ]
        ear.subscribe5(("r/#", 0))
        (kept,) = ear.rest5()
        assert (kept.payload, kept.properties.message_expiry_s) == (b"long", 70)
        old = broker.client("old")
        old.subscribe(("r/#", 0))
        assert [message.payload for message in old.take_rest(1)] == [b"long"]


def test_expired_messages_leave_queue_and_store(wall_clock: WallClock, tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:

        def stored() -> tuple[int, int]:
            snapshot = broker.call(broker.broker.snapshot)  # type: ignore[arg-type]
            assert snapshot is not None
            return snapshot.stored.queued_messages, snapshot.stored.retained_messages

        ear = broker.client("ear", clean=False)
        ear.subscribe(("t", 1))
        ear.disconnect()
        before = stored()[1]
        mouth = client5(broker, "mouth")
        mouth.publish5("t", b"x", 1, retain=True, message_expiry_s=5)
        mouth.publish5("t", b"y", 1)
        # In place of one that would expire.
        mouth.publish5("u", b"x", 1, retain=True, message_expiry_s=5)
        mouth.publish5("u", b"y", 1, retain=True)
        assert stored() == (2, before + 2)
        wall_clock.advance(6)
        broker.advance(2)
        broker.wait_until(lambda: stored() == (1, before + 1))


def test_topic_aliases_of_a_client_stand_for_topics() -> None:
    with running() as broker:
        ear, mouth = broker.client("ear"), client5(broker, "mouth")
        ear.subscribe(("#", 1))
        assert mouth.connack.properties.topic_alias_maximum == 10
        mouth.publish5("a", b"1", topic_alias=10)
        mouth.publish5("", b"2", topic_alias=10)
        mouth.publish5("b", b"3", topic_alias=10)
        mouth.publish5("", b"4", 2, topic_alias=10)
        topics = [message.topic for message in ear.take(4)]
        assert topics == ["a", "a", "b", "b"]
        # Of one connection alone.
        other = client5(broker, "other")
        other.send(publish5("", b"5", topic_alias=10))
        assert other.goodbye() == 0x82
        for alias in (0, 11):
            wrong = client5(broker, "wrong")
            wrong.send(publish5("c", b"6", topic_alias=alias))
            assert wrong.goodbye() == 0x94


def test_topic_aliases_towards_a_client_are_as_many_as_it_takes() -> None:
    with running() as broker:
        ear, mouth = client5(broker, "ear", topic_alias_maximum=1), client5(broker, "mouth")
        ear.subscribe5(("#", 2))
        for topic, qos in (("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 2)):
            mouth.publish5(topic, b"x", qos)
        found = [(m.topic, m.properties.topic_alias) for m in ear.take5(5)]
        assert found == [("a", 1), ("", 1), ("", 1), ("b", None), ("b", None)]


def test_a_message_that_is_not_allowed_is_refused_with_a_reason() -> None:
    with running(OwnTopics()) as broker:
        boss, mouth = broker.client("boss"), client5(broker, "mouth", receive_maximum=5)
        boss.subscribe(("#", 2))
        assert mouth.publish5("other/t", b"x", 1) == 0x87
        assert mouth.publish5("other/t", b"x", 2) == 0x87
        assert mouth.publish5("$SYS/x", b"x", 1) == 0x87
        mouth.publish5("other/t", b"x", 0)
        assert mouth.publish5("mouth/t", b"y", 2) == 0
        assert [message.payload for message in boss.take_rest(1)] == [b"y"]


def test_a_message_for_nobody_is_acknowledged_as_such() -> None:
    with running() as broker:
        mouth = client5(broker, "mouth")
        assert [mouth.publish5("t", b"x", qos) for qos in (1, 2)] == [0x10, 0]
        broker.client("ear").subscribe(("t", 0))
        assert [mouth.publish5("t", b"x", qos) for qos in (1, 2)] == [0, 0]


def test_a_receiver_may_refuse_a_message_of_qos_2() -> None:
    with running(in_flight=1) as broker:
        ear, mouth = client5(broker, "ear"), client5(broker, "mouth")
        ear.subscribe5(("t", 2))
        for payload in (b"1", b"2"):
            mouth.publish5("t", payload, 2)
        first = ear.next5()
        ear.send(packet(PUBREC << 4, uint16(first.packet_id) + b"\x97"))
        assert [message.payload for message in ear.take5(1)] == [b"2"]


def test_user_properties_count_in_the_quota_of_retained_messages() -> None:
    with running(retained_kb_per_user=60, retained_mb=1) as broker:
        mouth = client5(broker, "mouth")
        pairs = tuple((str(n), "x" * 100) for n in range(200))
        for topic in ("a", "b"):
            mouth.publish5(topic, b"x", 1, retain=True, user=pairs)
        ear = client5(broker, "ear")
        ear.subscribe5(("+", 0))
        assert [message.topic for message in ear.rest5()] == ["a"]
