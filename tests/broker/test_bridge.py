"""Mosquitto as a bridge between its own clients and the hub's broker, in both directions."""

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from tests.broker.auth.hub import HubBus, hub_bus
from tests.broker.embedded.raw import RawClient
from tests.support import HOST, WAIT_S, free_port, program, wait_until_listening

PASSWORD = "correct horse"
# As docs/broker.md shows it.
TOPICS = """\
topic plant/# both 1
topic harvester/# in 1
topic harvester/+/+/cmd out 1
"""


@contextlib.contextmanager
def bridge(hub: HubBus, folder: Path, lines: str = "") -> Iterator[int]:
    """Run Mosquitto with a bridge to the hub; yield the port of its own clients."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        # As root it would become another user.
        f"user {getpass.getuser()}\n"
        f"listener {port} {HOST}\nallow_anonymous true\n"
        f"connection hub\naddress {HOST}:{hub.port}\n"
        f"remote_username plant\nremote_password {PASSWORD}\n"
        f"notifications_local_only true\nrestart_timeout 1\n{TOPICS}{lines}"
    )
    with subprocess.Popen([program("mosquitto"), "-c", str(config)]) as process:
        try:
            wait_until_listening(port)
            wait_until_bridged(port)
            yield port
        finally:
            process.terminate()
            process.wait(WAIT_S)


def wait_until_bridged(port: int) -> None:
    """Wait for the bridge's own word that it is connected."""
    with RawClient(port) as client:
        assert client.connect("waiting") == 0
        client.subscribe(("$SYS/broker/connection/+/state", 0))
        while client.receive().payload != b"1":
            pass


@contextlib.contextmanager
def hub_with_account(folder: Path) -> Iterator[HubBus]:
    accounts.set_password(folder / "accounts.json", "plant", Role.INTEGRATION, PASSWORD)
    with hub_bus(folder, broker__open_roots='["plant"]') as hub:
        yield hub


def opened(port: int, name: str) -> RawClient:
    client = RawClient(port)
    assert client.connect(name) == 0
    return client


@pytest.mark.parametrize("lines", ["", "bridge_protocol_version mqttv50\n"], ids=["3.1.1", "5"])
def test_messages_go_both_ways_once_and_never_round(tmp_path: Path, lines: str) -> None:
    with (
        hub_with_account(tmp_path) as hub,
        bridge(hub, tmp_path, lines) as port,
        opened(port, "here") as here,
        hub.person("plant", PASSWORD, "there") as there,
        hub.hub_client() as node,
    ):
        assert here.subscribe(("plant/#", 1), ("harvester/#", 1)) == [1, 1]
        assert there.subscribe(("plant/#", 1), ("harvester/+/+/cmd", 1)) == [1, 1]
        for number in range(20):
            here.publish("plant/a", b"%d" % number)
            there.publish("plant/b", b"%d" % number)
        here.publish("harvester/pi4/fan/cmd", b"on")
        node.publish("harvester/pi4/readings/air", b"{}", retain=True)
        # Everything of the loops that might be has come back before these.
        here.publish("plant/last", b"here")
        there.publish("plant/last", b"there")
        for client in (here, there):
            heard = [(m.topic, m.payload) for m in client.take_rest(43, quiet_s=1.0)]
            for topic in ("plant/a", "plant/b"):
                assert [p for t, p in heard if t == topic] == [b"%d" % n for n in range(20)]
            assert [p for t, p in heard if t == "harvester/pi4/fan/cmd"] == [b"on"]
            assert sorted(p for t, p in heard if t == "plant/last") == [b"here", b"there"]
            is_here = client is here
            readings = [p for t, p in heard if t == "harvester/pi4/readings/air"]
            assert readings == [b"{}"] * is_here


def test_a_retained_message_of_the_hub_is_retained_behind_the_bridge(tmp_path: Path) -> None:
    with hub_with_account(tmp_path) as hub:
        with hub.hub_client() as node:
            node.publish("harvester/pi4/about", b"{}", retain=True)
        with bridge(hub, tmp_path) as port:
            with opened(port, "here") as here:
                here.subscribe(("harvester/#", 1))
                assert here.receive().topic == "harvester/pi4/about"
            with opened(port, "later") as later:
                later.subscribe(("harvester/#", 1))
                assert later.receive().retain
