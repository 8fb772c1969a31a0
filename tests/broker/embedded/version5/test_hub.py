"""MQTT 5 at the hub's own gate: the same rights as in 3.1.1, with a reason for each refusal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts
from tests.broker.auth.hub import HubBus, hub_bus
from tests.broker.embedded.switch import ours_only
from tests.broker.embedded.version5.raw5 import Raw5

pytestmark = ours_only

OWN, OTHER = "harvester/pi4/readings/dht22", "harvester/pi5/readings/dht22"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubBus]:
    folder: Path = tmp_path_factory.mktemp("hub5")
    with hub_bus(folder) as bus:
        yield bus


def _node(hub: HubBus, name: str, token: str) -> Raw5:
    client = Raw5(hub.port)
    client.open(name, username=name, password=token.encode())
    return client


def test_a_node_hears_what_it_may_not(hub: HubBus) -> None:
    with _node(hub, "pi4", accounts.enroll(hub.accounts, "pi4")) as node:
        assert node.publish5(OTHER, b"{}", 1) == 0x87
        assert node.publish5(OTHER, b"{}", 2) == 0x87
        assert node.subscribe5((OWN, 1), ("plant/x", 1)) == [1, 0x87]
        assert node.publish5(OWN, b"{}", 1) == 0


def test_wrong_credentials_are_refused_with_their_code(hub: HubBus) -> None:
    accounts.enroll(hub.accounts, "pi6")
    with Raw5(hub.port) as stranger:
        found = stranger.ask("pi6", username="pi6", password=b"x" * 43)
        assert (found.reason, found.properties.reason) == (0x87, None)
        assert stranger.is_closed()


def test_a_node_hears_that_it_was_revoked(hub: HubBus) -> None:
    with _node(hub, "pi7", accounts.enroll(hub.accounts, "pi7")) as node:
        accounts.revoke(hub.accounts, "pi7")
        with _node(hub, "pi8", accounts.enroll(hub.accounts, "pi8")):
            assert node.goodbye() == 0x87


def test_a_local_client_operates_as_with_3_1_1(hub: HubBus) -> None:
    with Raw5(hub.port) as local:
        local.open("")
        assert local.subscribe5(("#", 2)) == [2]
        assert local.publish5("harvester/pi4/buzzer/cmd", b"beep", 1) in (0, 0x10)
        assert local.publish5(OWN, b"{}", 1) == 0x87
