"""Open topics: what accounts may use below the roots of other people's devices."""

from pathlib import Path

import pytest

from broker.auth import accounts, acl
from broker.auth.gate import Identity, Role
from broker.auth.open_topics import Scope, check_patterns, filters_of, is_of_hub
from bus.errors import MisconfiguredError
from tests.broker.auth.hub import hub_bus
from tests.broker.embedded.raw import RawClient

PASSWORD = "correct horse"
ROOTS = ("zigbee2mqtt", "tele", "homeassistant")
ROOTS_JSON = '["zigbee2mqtt", "tele", "cmnd"]'


@pytest.mark.parametrize(
    ("role", "patterns", "client_id", "expected"),
    [
        (Role.DEVICE, (), "x", ("zigbee2mqtt/plug/#", "tele/plug/#", "homeassistant/plug/#")),
        (Role.DEVICE, ("zigbee2mqtt/#", "other/#"), "x", ("zigbee2mqtt/#",)),
        (Role.DEVICE, ("tele/%c/#", "tele/%u"), "id1", ("tele/id1/#", "tele/plug")),
        (Role.DEVICE, ("tele/%c/#", "tele/x-%c", "tele/%u"), "a/#", ("tele/plug",)),
        (Role.DEVICE, ("%c/#",), "+", ()),
        (Role.DEVICE, ("%c/#",), "tele", ("tele/#",)),
        (Role.DEVICE, ("tele",), "x", ("tele",)),
        (Role.DEVICE, ("harvester/#", "$SYS/#"), "x", ()),
        (Role.INTEGRATION, (), "x", ("zigbee2mqtt/#", "tele/#", "homeassistant/#")),
        (Role.INTEGRATION, ("+/%u/set",), "x", tuple(f"{root}/plug/set" for root in ROOTS)),
        (Role.VIEWER, ("tele/#",), "x", ()),
        (Role.NODE, (), "x", ()),
    ],
)
def test_an_account_may_use_what_a_root_and_a_pattern_cover(
    role: Role, patterns: tuple[str, ...], client_id: str, expected: tuple[str, ...]
) -> None:
    scope = Scope(open_roots=ROOTS, patterns=patterns)
    assert filters_of(role, "plug", client_id, scope) == expected


def test_a_device_named_like_a_root_has_the_root() -> None:
    scope = Scope(open_roots=ROOTS)
    assert filters_of(Role.DEVICE, "zigbee2mqtt", "x", scope)[0] == "zigbee2mqtt/#"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "a/#/b",
        "a#",
        "a+/b",
        "$SYS/#",
        "a/b+",
        "a\0",
        "##",
        "a" * 257,
        "a\nuser b",
        "a/\t",
    ],
)
def test_a_pattern_that_is_no_topic_filter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a topic filter"):
        check_patterns([text])


def test_patterns_are_few_and_of_roles_that_have_open_topics(tmp_path: Path) -> None:
    check_patterns(["#", "+/%u/#", "a/+/b", "a//b", "zigbee2mqtt/Küche Lampe/#"])
    with pytest.raises(ValueError, match="found 65 topic filters, expected at most 64"):
        check_patterns(["a"] * 65)
    path = tmp_path / "accounts.json"
    with pytest.raises(MisconfiguredError, match="ann: found topics of a viewer, expected them of"):
        accounts.set_password(path, "ann", Role.VIEWER, PASSWORD, topics=["a/#"])


def test_the_hubs_discovery_is_known_by_its_ids() -> None:
    assert is_of_hub("homeassistant/sensor/harvester_pi4_x/config", "homeassistant")
    assert is_of_hub("ha/x/sensor/y/harvester_pi4/config", "ha/x")
    assert not is_of_hub("homeassistant/sensor/0x1/config", "homeassistant")
    assert not is_of_hub("zigbee2mqtt/sensor/harvester_pi4/config", "homeassistant")


def test_nobody_but_the_hub_publishes_its_discovery_or_a_topic_that_cannot_be_logged() -> None:
    scope = Scope(open_roots=ROOTS, patterns=("#",))
    ha = Identity("ha", Role.INTEGRATION, "ha")
    device = Identity("plug", Role.DEVICE, "plug")
    own = "homeassistant/sensor/harvester_pi4_x/config"
    assert acl.may_publish(Identity("hub_app", Role.HUB), own, scope)
    assert acl.may_receive(ha, own, scope)
    assert not acl.may_receive(device, own, scope)
    for who in (ha, device):
        assert not acl.may_publish(who, own, scope)
        assert acl.may_publish(who, "homeassistant/sensor/0x1/config", scope)
        assert acl.may_publish(who, "zigbee2mqtt/Küche Lampe/set", scope)
        assert not acl.may_publish(who, "zigbee2mqtt/a\nb", scope)
        assert not acl.may_publish(who, f"zigbee2mqtt/{'a' * 257}", scope)
        assert not acl.may_publish(who, "harvester/pi4/status", scope)
    assert acl.may_publish(ha, "homeassistant/status", scope)
    assert acl.may_receive(device, "homeassistant/status", scope)
    assert not acl.may_publish(device, "homeassistant/status", scope)


def test_decisions_on_topics_that_are_too_long_are_not_remembered() -> None:
    device = Identity("plug", Role.DEVICE, "plug")
    remembered = acl._may_publish.cache_info().currsize
    assert not any(acl.may_publish(device, "t" * 60_000 + str(n)) for n in range(10))
    assert acl._may_publish.cache_info().currsize == remembered


def test_a_filter_that_is_longer_than_every_topic_is_refused() -> None:
    viewer = Identity("vic", Role.VIEWER)
    assert acl.may_subscribe(viewer, f"harvester/{'a' * 1_000}/#")
    assert not acl.may_subscribe(viewer, f"harvester/{'a' * 1_020}/#")


def test_other_peoples_devices_share_the_hubs_broker(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    for name, role, topics in (
        ("zigbee2mqtt", Role.DEVICE, []),
        ("plugs", Role.DEVICE, ["tele/%c/#", "cmnd/%c/#"]),
        ("ha", Role.INTEGRATION, []),
        ("vic", Role.VIEWER, []),
    ):
        accounts.set_password(path, name, role, PASSWORD, topics=topics)  # type: ignore[arg-type]
    with hub_bus(tmp_path, broker__open_roots=ROOTS_JSON) as hub:
        bridge = hub.person("zigbee2mqtt", PASSWORD)
        plug = hub.person("plugs", PASSWORD, "plug1")
        ha, explorer = hub.person("ha", PASSWORD), hub.person("vic", PASSWORD)
        assert explorer.subscribe(("#", 1)) == [1]
        assert ha.subscribe(("zigbee2mqtt/#", 1), ("tele/#", 1), ("harvester/#", 1)) == [1, 1, 1]
        assert plug.subscribe(("cmnd/plug1/#", 1), ("cmnd/plug2/#", 1), ("#", 1)) == [1, 128, 1]
        bridge.publish("zigbee2mqtt/bridge/state", b"online", retain=True)
        bridge.publish("tele/plug1/LWT", b"forged")
        plug.publish("tele/plug1/LWT", b"Online")
        plug.publish("tele/plug2/LWT", b"forged")
        plug.publish("harvester/pi4/status", b"forged")
        ha.publish("cmnd/plug1/POWER", b"ON")
        expected = [b"online", b"Online", b"ON"]
        assert [message.payload for message in explorer.take(3)] == expected
        assert [message.payload for message in ha.take(2)] == expected[:2]
        # Its subscription to `#` and the other one overlap.
        assert [m.topic for m in plug.take_rest(2)] == ["tele/plug1/LWT", "cmnd/plug1/POWER"]
        for client in (bridge, plug, ha, explorer):
            assert [m.payload for m in client.take_rest()] == []
            client.disconnect()


def test_a_kept_session_of_a_device_receives_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.set_password(path, "plugs", Role.DEVICE, PASSWORD, topics=["cmnd/%c/#"])
    accounts.set_password(path, "ha", Role.INTEGRATION, PASSWORD)
    login = {"username": "plugs", "password": PASSWORD.encode(), "clean": False}
    with hub_bus(tmp_path, broker__open_roots=ROOTS_JSON) as hub, RawClient(hub.port) as plug:
        assert plug.connect("plug1", **login) == 0
        assert plug.subscribe(("cmnd/plug1/#", 1)) == [1]
        plug.disconnect()
    with hub_bus(tmp_path, broker__open_roots=ROOTS_JSON) as hub:
        ha = hub.person("ha", PASSWORD)
        ha.publish("cmnd/plug1/POWER", b"ON")
        ha.publish("cmnd/plug2/POWER", b"ON")
        with RawClient(hub.port) as plug:
            assert plug.connect("plug1", **login) == 0
            assert [m.topic for m in plug.take_rest(1)] == ["cmnd/plug1/POWER"]
        ha.disconnect()
