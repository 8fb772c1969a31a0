"""Subscriptions of MQTT 5: options, identifiers and reasons; bridges of Mosquitto."""

from pathlib import Path

import pytest

from broker.embedded.packets.model import Properties
from tests.broker.embedded.gates import OwnTopics
from tests.broker.embedded.raw import SUBACK, UNSUBACK, RawClient, binary, packet, uint16
from tests.broker.embedded.running import Running, running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import (
    AS_PUBLISHED,
    IF_NEW,
    NEVER,
    NO_LOCAL,
    NONE,
    client5,
    subscribe5,
)

pytestmark = ours_only


@pytest.mark.parametrize("restart", [False, True])
def test_no_local_leaves_out_what_the_client_published(restart: bool, tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        one = client5(broker, "one", session_expiry_s=60)
        one.subscribe5(("t", 1 | NO_LOCAL))
        if not restart:
            _check_no_local(broker)
    if restart:
        with running(store_dir=tmp_path) as broker:
            _check_no_local(broker)


def _check_no_local(broker: Running) -> None:
    one = client5(broker, "one", clean=False, session_expiry_s=60)
    assert one.connack.session_present
    one.publish5("t", b"own")
    client5(broker, "other").publish5("t", b"other")
    assert [message.payload for message in one.rest5()] == [b"other"]


def test_no_local_leaves_out_the_own_will() -> None:
    with running() as broker:
        will = ("t", b"gone", 1, False, NONE)
        one, ear = client5(broker, "one", will=will, session_expiry_s=60), client5(broker, "ear")
        one.subscribe5(("t", 1 | NO_LOCAL))
        ear.subscribe5(("t", 1))
        one.reset()
        assert [message.payload for message in ear.take5(1)] == [b"gone"]
        assert client5(broker, "one", clean=False, session_expiry_s=60).rest5() == []


def test_a_filter_without_no_local_brings_the_own_messages_too() -> None:
    with running() as broker:
        one = client5(broker, "one")
        one.subscribe5(("t", 1 | NO_LOCAL), ("+", 0))
        one.publish5("t", b"own")
        assert [(message.payload, message.qos) for message in one.rest5()] == [(b"own", 0)]


def test_an_own_message_has_nothing_of_the_filters_with_no_local() -> None:
    with running() as broker:
        client, other = client5(broker, "c"), client5(broker, "other")
        client.subscribe5(("t/+", 2 | NO_LOCAL | AS_PUBLISHED), identifier=1)
        client.subscribe5(("t/#", 0), identifier=2)
        client.subscribe5(("t/x", 1), identifier=3)
        client.subscribe5(("+/x", 2 | NO_LOCAL), identifier=4)
        for publisher in (client, other):
            publisher.publish5("t/x", b"x", 2, retain=True)
        own, others = client.take5(2)
        assert (own.qos, own.retain, sorted(own.properties.subscription_ids)) == (1, False, [2, 3])
        assert (others.qos, others.retain) == (2, True)
        assert sorted(others.properties.subscription_ids) == [1, 2, 3, 4]
        client.subscribe5(("t/#", NO_LOCAL | NEVER), ("t/x", NO_LOCAL | NEVER))
        client.publish5("t/x", b"none", 2)
        assert client.rest5() == []


def test_an_own_message_is_not_queued_for_a_filter_with_no_local(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        will = ("t/x", b"", 2, False, Properties())
        client = client5(broker, "c", session_expiry_s=1_000, will=will)
        client.subscribe5(("t/+", 1 | NO_LOCAL), ("t/#", 0))
        client.leave(4)
        assert client5(broker, "c", clean=False).rest5() == []


def test_retain_as_published_keeps_the_flag() -> None:
    with running() as broker:
        ear, plain, mouth = (client5(broker, name) for name in ("ear", "plain", "mouth"))
        ear.subscribe5(("t", AS_PUBLISHED))
        plain.subscribe5(("t", 0))
        mouth.publish5("t", b"kept", retain=True)
        mouth.publish5("t", b"new")
        assert [message.retain for message in ear.rest5()] == [True, False]
        assert [message.retain for message in plain.rest5()] == [False, False]


def test_retained_messages_are_sent_as_the_handling_says() -> None:
    with running() as broker:
        client5(broker, "mouth").publish5("t", b"kept", retain=True)
        ear = client5(broker, "ear")
        counts = []
        for options in (NEVER, 0, IF_NEW, 0, NEVER):
            ear.subscribe5(("t", options))
            counts.append(len(ear.rest5()))
        assert counts == [0, 1, 0, 1, 0]
        other = client5(broker, "other")
        other.subscribe5(("t", IF_NEW))
        assert [message.payload for message in other.rest5()] == [b"kept"]


def test_one_message_has_the_identifiers_of_all_filters_that_match(tmp_path: Path) -> None:
    with running(store_dir=tmp_path) as broker:
        mouth = client5(broker, "mouth")
        mouth.publish5("a/b", b"kept", retain=True)
        ear = client5(broker, "ear", session_expiry_s=60)
        ear.subscribe5(("a/+", 1), identifier=7)
        ear.subscribe5(("a/#", 2), ("other", 1), identifier=268_435_455)
        ear.subscribe5(("+/b", 0))
        assert [message.properties.subscription_ids for message in ear.take5(3)] == [
            (7,),
            (268_435_455,),
            (),
        ]
        mouth.publish5("a/b", b"x", 2)
        (found,) = ear.take5(1)
        assert (found.qos, set(found.properties.subscription_ids)) == (2, {7, 268_435_455})
        # A new one replaces it.
        ear.subscribe5(("a/#", 2), identifier=9)
        ear.take5(1)
        ear.leave()
    with running(store_dir=tmp_path) as broker:
        client5(broker, "mouth").publish5("a/b", b"y")
        (found,) = client5(broker, "ear", clean=False, session_expiry_s=60).take5(1)
        assert set(found.properties.subscription_ids) == {7, 9}


def test_a_shared_subscription_has_its_identifier_and_no_retained_messages() -> None:
    with running() as broker:
        mouth, ear = client5(broker, "mouth"), client5(broker, "ear")
        mouth.publish5("t", b"kept", retain=True)
        assert ear.subscribe5(("$share/g/t", 1 | AS_PUBLISHED), identifier=5) == [1]
        assert ear.rest5() == []
        mouth.publish5("t", b"x", retain=True)
        (found,) = ear.take5(1)
        assert (found.retain, found.properties.subscription_ids) == (True, (5,))
        ear.send(subscribe5(("$share/g/u", NO_LOCAL)))
        assert ear.goodbye() == 0x82


def test_refusals_have_their_reasons() -> None:
    with running(OwnTopics(), subscriptions_per_client=2) as broker:
        ear = client5(broker, "ear")
        filters = [("other/t", 1), ("ear/a", 2), ("ear/b", 0), ("ear/c", 0)]
        ear.send(subscribe5(*filters, packet_id=9))
        body = ear.answer(SUBACK)
        assert body[:2] == uint16(9)
        assert b"\x1f" in body
        assert b"may not use that topic" in body
        assert list(body[-4:]) == [0x87, 2, 0, 0x97]
        ear.send(packet(0xA2, uint16(3) + b"\0" + binary(b"ear/a") + binary(b"never")))
        assert ear.answer(UNSUBACK) == uint16(3) + b"\0" + b"\x00\x11"


def test_a_client_that_wants_no_reason_strings_gets_none() -> None:
    with running(OwnTopics()) as broker:
        ear = client5(broker, "ear", request_problem=0)
        ear.send(subscribe5(("other/t", 1), packet_id=9))
        assert ear.answer(SUBACK) == uint16(9) + b"\0\x87"


@pytest.mark.parametrize("text", ["", "a+", "#/a", "a/#/b", "a\x01"])
def test_an_invalid_filter_ends_the_connection(text: str) -> None:
    with running() as broker:
        ear = client5(broker, "ear")
        ear.send(subscribe5((text, 0)))
        assert ear.goodbye() == 0x81


@pytest.mark.parametrize(("level", "name"), [(0x84, b"MQTT"), (0x83, b"MQIsdp")])
def test_a_bridge_hears_not_itself_and_retained_messages_as_such(level: int, name: bytes) -> None:
    with running() as broker:
        bridge = broker.client("bridge", level=level, name=name)
        bridge.subscribe(("t", 1))
        bridge.publish("t", b"own", retain=True)
        _publish_kept(broker.client("other"))
        assert [(message.payload, message.retain) for message in bridge.take_rest(1)] == [
            (b"other", True)
        ]


def _publish_kept(client: RawClient) -> None:
    client.publish("t", b"other", retain=True)
