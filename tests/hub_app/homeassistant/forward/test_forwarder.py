"""The forwarder against a Mosquitto that restarts, is slow, refuses, and is in a loop."""

import datetime as dt
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import certificates, tokens
from bus.client.login import Login
from bus.contract.messages import Event, Result, encode
from bus.contract.topics import Topic, TopicKind, parse
from hub_app.homeassistant.forward.forwarder import Forwarder
from hub_app.homeassistant.forward.rounds import Rounds
from tests.hub_app.homeassistant.forward.home import (
    QUIET,
    STATE,
    HomeBroker,
    HomeClient,
    HubSide,
    forwarder_to,
    forwarding,
    put_all,
    reading,
    topic_of,
)
from tests.support import HOST, free_port, wait_until

SENSORS = [f"sensor-{n}" for n in range(300)]
BUZZER = "harvester/pi4/buzzer/cmd"
IMPATIENT = msgspec.structs.replace(QUIET, answer_s=0.2)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeBroker]:
    with HomeBroker(tmp_path_factory.mktemp("home")) as running:
        yield running


def is_settled(forwarder: Forwarder) -> bool:
    return forwarder.status.connected and not forwarder.status.waiting


def test_a_broker_that_lost_everything_has_it_all_again(tmp_path: Path) -> None:
    with HomeBroker(tmp_path) as home, forwarding(home.port) as forwarder:
        put_all(forwarder, SENSORS, 1)
        wait_until(lambda: is_settled(forwarder))
        home.stop()
        wait_until(lambda: not forwarder.status.connected)
        put_all(forwarder, SENSORS[:100], 2)
        home.start()
        # Retained: whoever comes later has it, too.
        with HomeClient(home.port) as late:
            late.wait_for(STATE, b"online")
            wanted = {str(topic_of(s)): reading(s, 2 if s in SENSORS[:100] else 1) for s in SENSORS}
            wait_until(lambda: wanted.items() <= late.state.items())
        assert forwarder.status.connections == 2


def test_online_is_said_behind_all_that_is_retained(home: HomeBroker) -> None:
    with HomeClient(home.port) as client:
        forwarder = forwarder_to(home.port)
        put_all(forwarder, SENSORS, 1)
        before = len(client.heard)
        forwarder.start()
        wait_until(lambda: (STATE, b"online") in client.heard[before:])
        heard = client.heard[before:]
        place = heard.index((STATE, b"online"))
        assert {str(topic_of(s)) for s in SENSORS} <= {topic for topic, _ in heard[:place]}
        forwarder.stop()
        client.wait_for(STATE, b"offline")


def test_commands_arrive_with_an_id_of_the_forwarder(home: HomeBroker) -> None:
    hub = HubSide()
    with HomeClient(home.port) as client, forwarding(home.port, hub) as forwarder:
        wait_until(lambda: is_settled(forwarder))
        client.publish(BUZZER, b"nonsense")
        client.publish("harvester/pi4/status", b"{}")
        client.publish(BUZZER, b"beep")
        wait_until(lambda: hub.commands)
        (topic, payload) = hub.commands[0]
        assert topic == BUZZER
        assert json.loads(payload)["pattern"] == "beep"
        assert json.loads(payload)["id"].startswith("ha-")
        assert (forwarder.status.commands, forwarder.status.commands_refused) == (1, 1)


def test_a_retained_command_is_never_executed(home: HomeBroker) -> None:
    hub = HubSide()
    with HomeClient(home.port) as client:
        client.publish(BUZZER, b"long", retain=True)
        client.wait_for(BUZZER, b"long")
        with forwarding(home.port, hub) as forwarder:
            wait_until(lambda: is_settled(forwarder))
            client.publish(BUZZER, b"", retain=True)
            client.publish(BUZZER, b"beep")
            wait_until(lambda: hub.commands)
        assert [json.loads(payload)["pattern"] for _, payload in hub.commands] == ["beep"]


def test_neither_commands_nor_results_go_there(home: HomeBroker) -> None:
    with HomeClient(home.port) as client, forwarding(home.port) as forwarder:
        client.wait_for(STATE, b"online")
        result = encode(Result(None, ok=True, error="", finished_ms=1))
        forwarder.put(Topic("pi4", TopicKind.RESULT, "buzzer"), result)
        forwarder.put(Topic("pi4", TopicKind.COMMAND, "buzzer"), b"beep")
        forwarder.put(Topic("pi4", TopicKind.BACKLOG), b"[]")
        event = encode(Event("pressed", {}, 1))
        forwarder.put(Topic("pi4", TopicKind.EVENT, "bell"), event)
        client.wait_for("harvester/pi4/events/bell", event)
        heard = [topic for topic, _ in client.heard if "/probe-" not in topic]
        levels = {topic.split("/")[-1] for topic in heard}
        assert not levels & {"cmd", "result", "backlog"}
    with HomeClient(home.port) as late:
        late.wait_for(STATE)
        assert "harvester/pi4/events/bell" not in late.state


def test_a_removed_topic_is_emptied_there_even_after_a_restart_of_the_hub(
    home: HomeBroker, tmp_path: Path
) -> None:
    file = tmp_path / "forwarded.json"
    with forwarding(home.port, state_file=file) as forwarder:
        put_all(forwarder, ["here", "gone", "gone-later"], 1)
        wait_until(lambda: is_settled(forwarder))
        forwarder.put(topic_of("gone"), b"")
        wait_until(lambda: is_settled(forwarder))
    times = msgspec.structs.replace(QUIET, leftovers_s=0.1, file_s=0.1)
    with HomeClient(home.port) as client, forwarding(home.port, state_file=file, times=times) as it:
        put_all(it, ["here"], 1)
        client.wait_for(str(topic_of("gone-later")), b"")
        wait_until(lambda: str(topic_of("gone-later")) not in file.read_text())
    with HomeClient(home.port) as late:
        late.wait_for(str(topic_of("here")))
        assert not {str(topic_of("gone")), str(topic_of("gone-later"))} & set(late.state)


def test_a_bus_that_is_not_there_yet_empties_nothing() -> None:
    times = Rounds(msgspec.structs.replace(QUIET, leftovers_s=5.0), 0.0)
    assert not times.are_leftovers_due(4.0, is_bus_up=False)
    assert not times.are_leftovers_due(8.0, is_bus_up=True)
    assert times.are_leftovers_due(9.0, is_bus_up=True)
    assert not times.are_leftovers_due(99.0, is_bus_up=True)


def test_a_birth_of_home_assistant_is_answered_with_everything(home: HomeBroker) -> None:
    times = msgspec.structs.replace(QUIET, birth_s=(0.0, 0.1))
    with HomeClient(home.port) as client, forwarding(home.port, times=times) as forwarder:
        put_all(forwarder, SENSORS[:10], 1)
        wait_until(lambda: is_settled(forwarder))
        client.wait_for(STATE, b"online")
        before = len(client.heard)
        client.publish("homeassistant/status", b"offline")
        client.publish("homeassistant/status", b"online")
        wanted = {*(str(topic_of(s)) for s in SENSORS[:10]), STATE}
        wait_until(lambda: wanted <= {topic for topic, _ in client.heard[before:]})


def test_a_frozen_broker_holds_nobody_up_and_then_gets_the_newest(home: HomeBroker) -> None:
    with HomeClient(home.port) as client, forwarding(home.port) as forwarder:
        client.wait_for(STATE, b"online")
        with home.frozen():
            for seq in range(2, 100):
                put_all(forwarder, SENSORS, seq)
            # Beside what is in flight, each topic waits once.
            assert forwarder.status.waiting <= len(SENSORS)
            assert forwarder.status.topics == len(SENSORS)
        wanted = {str(topic_of(s)): reading(s, 99) for s in SENSORS}
        wait_until(lambda: wanted.items() <= client.state.items())
        assert len(client.heard) < 10 * len(SENSORS)
        assert forwarder.status.dropped == 0


def test_a_socket_that_is_never_read_is_told_and_costs_nothing() -> None:
    with (
        socket.create_server((HOST, 0)) as mute,
        forwarding(mute.getsockname()[1], times=IMPATIENT) as forwarder,
    ):
        for seq in range(100):
            put_all(forwarder, SENSORS, seq)
        wait_until(lambda: forwarder.status.last_error == "the broker does not answer")
        assert forwarder.status.waiting == len(SENSORS)
        assert not forwarder.status.connected


def test_a_closed_port_is_told_and_tried_again(tmp_path: Path) -> None:
    home = HomeBroker(tmp_path)
    with forwarding(home.port) as forwarder:
        put_all(forwarder, ["air"], 1)
        wait_until(lambda: f"no broker at {HOST}:{home.port}" in forwarder.status.last_error)
        with home, HomeClient(home.port) as client:
            client.wait_for(str(topic_of("air")), reading("air", 1))
            assert forwarder.status.since_ms > 0


def test_a_wrong_password_is_told_and_a_corrected_one_taken_without_a_restart(
    tmp_path: Path,
) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"harvester:{tokens.mosquitto_hash('hem')}\n")
    file = tmp_path / "ha.toml"
    file.write_text('username = "harvester"\npassword = "wrong"\n')
    file.chmod(0o600)
    extra = f"allow_anonymous false\npassword_file {passwords}\n"
    with (
        HomeBroker(tmp_path, extra) as home,
        forwarding(home.port, credentials_file=str(file)) as forwarder,
    ):
        put_all(forwarder, ["air"], 1)
        wait_until(lambda: "refused the connection" in forwarder.status.last_error)
        assert "wrong" not in forwarder.status.last_error
        file.write_text('username = "harvester"\npassword = "hem"\n')
        login = Login(username="harvester", token="hem")
        with HomeClient(home.port, login) as client:
            client.wait_for(str(topic_of("air")), reading("air", 1))


@pytest.mark.filterwarnings(
    # paho leaves the socket of a failed handshake to the garbage collector.
    "ignore:unclosed <ssl.SSLSocket:ResourceWarning",
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning",
)
def test_tls_needs_the_right_ca(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    for name in ("right", "wrong"):
        certificates.init(tmp_path / name, [HOST], now)
    tls = tmp_path / "right"
    extra = f"certfile {tls}/hub.pem\nkeyfile {tls}/hub.key\nallow_anonymous true\n"
    with HomeBroker(tmp_path, extra) as home:
        url = f"mqtts://{HOST}:{home.port}"
        wrong = str(tmp_path / "wrong" / "ca.pem")
        with forwarding(home.port, broker=url, ca_file=wrong) as forwarder:
            wait_until(lambda: "no trust in the broker" in forwarder.status.last_error)
            assert forwarder.status.connections == 0
        with forwarding(home.port, broker=url, ca_file=str(tls / "ca.pem")) as forwarder:
            put_all(forwarder, SENSORS, 1)
            wait_until(lambda: is_settled(forwarder))
            assert forwarder.status.broker == url


def test_an_account_without_rights_is_told(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read harvester/#\n")
    extra = f"allow_anonymous true\nacl_file {rules}\n"
    with (
        HomeBroker(tmp_path, extra) as home,
        forwarding(home.port, times=IMPATIENT) as forwarder,
    ):
        put_all(forwarder, SENSORS, 1)
        wait_until(lambda: "does not come back" in forwarder.status.last_error)
        assert "access rules" in forwarder.status.last_error


def test_a_will_that_comes_late_is_corrected(home: HomeBroker) -> None:
    with HomeClient(home.port) as client, forwarding(home.port) as forwarder:
        client.wait_for(STATE, b"online")
        wait_until(lambda: is_settled(forwarder))
        client.wait_for(f"{STATE}/run")
        before = len(client.heard)
        client.publish(STATE, b"offline", retain=True)
        wait_until(lambda: (STATE, b"online") in client.heard[before:])


def test_the_hubs_own_broker_is_found_out_and_left(home: HomeBroker) -> None:
    """Through another name, which no look at the configuration can tell."""
    with HomeClient(home.port) as bus, forwarding(home.port, HubOnBroker(bus)) as forwarder:
        wait_until(lambda: "it is the hub's own broker" in forwarder.status.last_error)
        wait_until(lambda: not forwarder.status.connected)
        bus.publish(BUZZER, b"beep")
        bus.publish(BUZZER, b"off")
        wait_until(lambda: (BUZZER, b"off") in bus.heard)
        assert [payload for topic, payload in bus.heard if topic == BUZZER] == [b"beep", b"off"]


class HubOnBroker(HubSide):
    """A hub whose bus is the same broker."""

    def __init__(self, bus: HomeClient) -> None:
        super().__init__()
        self._bus = bus

    def publish(self, topic: Topic, payload: bytes) -> int:
        self._bus.publish(str(topic), payload)
        return super().publish(topic, payload)


def test_a_bridge_back_is_found_out(home: HomeBroker) -> None:
    """What is published there comes to the hub's bus."""
    handled = []
    with HomeClient(home.port) as bridge, forwarding(home.port) as forwarder:
        handle = forwarder.before(lambda topic, payload: handled.append((topic, payload)))
        put_all(forwarder, ["air"], 1)
        bridge.wait_for(f"{STATE}/run")
        for topic, payload in list(bridge.heard):
            handle(topic, payload)
        wait_until(lambda: not forwarder.status.connected)
        assert "a bridge joins the two" in forwarder.status.last_error
        assert STATE not in dict(handled)
        bridge.wait_for(STATE, b"offline")


def test_a_bridge_of_commands_alone_is_found_out(home: HomeBroker) -> None:
    """With it, each command would be executed twice."""
    with HomeClient(home.port) as bridge, forwarding(home.port) as forwarder:
        handle = forwarder.before(lambda _topic, _payload: None)
        wait_until(
            lambda: [topic for topic in bridge.state if topic.endswith("-there/forwarder/cmd")]
        )
        for topic, payload in list(bridge.heard):
            if topic.endswith("/cmd"):
                handle(topic, payload)
        wait_until(lambda: not forwarder.status.connected)
        assert "a bridge joins the two" in forwarder.status.last_error


def test_two_brokers_that_mosquitto_bridges_run_in_no_circle(tmp_path: Path) -> None:
    """The hub's bus is a Mosquitto without rules, and each passes everything on to the other."""
    folders = [tmp_path / "hub", tmp_path / "home"]
    for folder in folders:
        folder.mkdir()
    with HomeBroker(folders[0]) as own:
        bridge = f"connection both\naddress {HOST}:{own.port}\ntopic harvester/# both 1\n"
        with (
            HomeBroker(folders[1], f"allow_anonymous true\n{bridge}") as home,
            HomeClient(own.port) as bus,
        ):
            hub = HubOnBroker(bus)
            # The bridge is up.
            with HomeClient(home.port) as there:
                wait_until(lambda: bus.publish("harvester/x", b"1") or "harvester/x" in there.state)
            with forwarding(home.port, hub) as forwarder:
                handle = forwarder.before(
                    lambda topic, payload: (
                        forwarder.put(parse(topic), payload)
                        if topic.startswith("harvester/pi4/")
                        else None
                    )
                )
                bus.on_message = handle
                for seq in range(3):
                    bus.publish(str(topic_of("air")), reading("air", seq), retain=True)
                wait_until(lambda: forwarder.status.last_error)
                wait_until(lambda: not forwarder.status.connected)
                assert "a bridge joins the two" in forwarder.status.last_error
                # The last that the forwarder publishes; what it sent before is here before it.
                wait_until(lambda: (STATE, b"offline") in bus.heard)
                before = len(bus.heard)
                bus.publish(BUZZER, b"beep")
                wait_until(lambda: (BUZZER, b"beep") in bus.heard)
                assert [m for m in bus.heard[before:] if m[0] != BUZZER] == []


def test_a_command_that_comes_back_is_executed_once(home: HomeBroker) -> None:
    """Through a bridge of commands from the hub's broker to Home Assistant's."""
    with HomeClient(home.port) as bridge:
        hub = HubSide()
        with forwarding(home.port, hub) as forwarder:
            wait_until(lambda: is_settled(forwarder))
            bridge.publish(BUZZER, b"beep")
            wait_until(lambda: len(hub.commands) == 1)
            bridge.publish(*hub.commands[0])
            wait_until(lambda: not forwarder.status.connected)
            assert "arrives there again" in forwarder.status.last_error
            assert len(hub.commands) == 1


def test_after_a_loop_it_tries_again(home: HomeBroker) -> None:
    times = msgspec.structs.replace(QUIET, loop_retry_s=0.1)
    with HomeClient(home.port) as client, forwarding(home.port, times=times) as forwarder:
        wait_until(lambda: is_settled(forwarder))
        client.wait_for(f"{STATE}/run")
        run = client.state[f"{STATE}/run"].decode()
        client.publish(f"harvester/probe-{run}-here/forwarder/cmd", b"")
        wait_until(lambda: forwarder.status.connections == 2)


def test_two_hubs_with_one_name_are_told(home: HomeBroker) -> None:
    with HomeClient(home.port) as client, forwarding(home.port) as forwarder:
        wait_until(lambda: is_settled(forwarder))
        client.publish(f"{STATE}/run", b"another")
        wait_until(lambda: "another hub called revpi" in forwarder.status.last_error)


def test_a_port_of_nothing_stops_at_once() -> None:
    with forwarding(free_port()) as forwarder:
        put_all(forwarder, SENSORS, 1)
