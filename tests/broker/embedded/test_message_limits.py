"""Keys of [broker] that bound messages and client identifiers, in both versions of MQTT."""

from broker.auth.gate import Attempt, Identity, Role
from broker.embedded.packets.model import Properties
from tests.broker.embedded.raw import PUBLISH, PUBREC, publish
from tests.broker.embedded.running import running
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import Raw5, client5, publish5
from tests.support import OpenGate

pytestmark = ours_only

NOT_AUTHORIZED = 5
IDENTIFIER_REJECTED = 2


class Roles(OpenGate):
    """Lets everyone in: as a node where the client identifier says so, otherwise as a device."""

    async def authenticate(self, attempt: Attempt) -> Identity | None:
        role = Role.NODE if attempt.client_id.startswith("node") else Role.DEVICE
        return Identity(attempt.client_id, role, attempt.client_id)


def test_a_payload_that_is_too_large_is_dropped_and_the_client_stays() -> None:
    with running(payload_bytes=4) as broker:
        ear = client5(broker, "ear")
        ear.subscribe5(("t", 2))
        old, new = broker.client("old"), client5(broker, "new")
        for qos in (0, 1, 2):
            old.publish("t", b"fives", qos)
            assert new.publish5("t", b"fives", qos) == (0x95 if qos else 0)
        old.ping()
        new.publish5("t", b"four")
        assert [message.payload for message in ear.take5(1)] == [b"four"]


def test_a_will_that_is_too_large_is_refused() -> None:
    with running(payload_bytes=4) as broker:
        assert broker.raw().connect("old", will=("t", b"fives", 0, False)) == NOT_AUTHORIZED
        new = Raw5(broker.port)
        broker.close_later(new)
        assert new.ask("new", will=("t", b"fives", 0, False, Properties())).reason == 0x95
        assert broker.raw().connect("old", will=("t", b"four", 0, False)) == 0


def test_clients_without_an_identifier_may_be_refused() -> None:
    with running(empty_client_ids=False) as broker:
        assert broker.raw().connect("") == IDENTIFIER_REJECTED
        new = Raw5(broker.port)
        broker.close_later(new)
        assert new.ask("").reason == 0x80
        assert broker.raw().connect("named") == 0


def test_retained_messages_may_be_for_nodes_alone() -> None:
    with running(Roles(), retain_by="nodes") as broker:
        node = client5(broker, "node-1")
        assert node.connack.properties.retain_available is None
        node.publish5("kept", b"1", retain=True)
        device = client5(broker, "device")
        assert device.connack.properties.retain_available == 0
        device.publish5("t", b"2")
        device.send(publish5("t", b"3", retain=True))
        assert device.goodbye() == 0x9A
        refused = Raw5(broker.port)
        broker.close_later(refused)
        assert refused.ask("d2", will=("t", b"4", 0, True, Properties())).reason == 0x9A
        old = broker.client("old")
        old.send(publish("t", b"5", retain=True))
        assert old.is_closed()
        ear = client5(broker, "ear")
        ear.subscribe5(("#", 0))
        assert [message.payload for message in ear.take5(1)] == [b"1"]
        assert ear.rest5() == []


def test_messages_of_qos_2_may_be_refused() -> None:
    with running(max_qos=1) as broker:
        new, old = client5(broker, "new"), broker.client("old")
        assert new.connack.properties.maximum_qos == 1
        assert new.subscribe5(("t", 2)) == [2]
        old.publish("t", b"1", 1)
        assert [message.qos for message in new.take5(1)] == [1]
        old.send(publish("t", b"2", 2))
        assert old.is_closed()
        new.send(publish5("t", b"3", 2))
        assert new.goodbye() == 0x9B
        assert broker.raw().connect("willing", will=("t", b"", 2, False)) == NOT_AUTHORIZED
        refused = Raw5(broker.port)
        broker.close_later(refused)
        assert refused.ask("r", will=("t", b"", 2, False, Properties())).reason == 0x9B


def test_a_client_hears_the_pubrec_before_its_own_message() -> None:
    with running() as broker:
        client = broker.client("c")
        client.subscribe(("t", 2))
        client.send(publish("t", b"1", 2, packet_id=7))
        kinds = [found[0] >> 4 for found in (client.read(), client.read()) if found is not None]
        assert kinds == [PUBREC, PUBLISH]


def test_a_bridge_of_mosquitto_may_tell_its_state() -> None:
    with running() as broker:
        bridge, ear = client5(broker, "bridge"), client5(broker, "ear")
        ear.subscribe5(("$SYS/broker/connection/#", 1))
        assert bridge.publish5("$SYS/broker/connection/plant/state", b"1", retain=True) == 0
        assert [message.payload for message in ear.take5(1)] == [b"1"]
        for topic in ("$SYS/broker/uptime", "$SYS/broker/connection/plant", "$CONTROL/x/state"):
            assert bridge.publish5(topic, b"1") == 0x87
