"""The hub's broker with accounts: the rights of a node's token, and their end."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts, tokens
from broker.auth.gate import Role
from bus.client import credentials
from bus.client.client import BusClient
from bus.client.login import Login
from bus.client.node import NodeBus
from bus.contract.topics import EVERYTHING, Topic, TopicKind
from tests.broker.auth.hub import HubBus, hub_bus, hub_config
from tests.broker.embedded.raw import RawClient, connect, publish
from tests.hub_app.connected_node import eventually
from tests.support import HOST, WAIT_S, Listener, free_port, program

NOT_AUTHORIZED = 5


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubBus]:
    with hub_bus(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def victim(hub: HubBus) -> str:
    return accounts.enroll(hub.accounts, "victim")


@pytest.fixture(scope="module")
def thief(hub: HubBus) -> str:
    return accounts.enroll(hub.accounts, "thief")


def harvester(hub: HubBus, *arguments: str) -> str:
    """Run the program as a person does on the hub."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harvester.cli", *arguments),
            *("--set", f"storage.state_dir={hub.files.state_dir}"),
            *("--set", f"broker.port={hub.port}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=hub.files.state_dir,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def mosquitto(hub: HubBus, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), "-h", HOST, "-p", str(hub.port), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )


class Heard(logging.Handler):
    """Waits for a line of the log."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.heard = threading.Event()
        self._text = text

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self.heard.set()


def test_on_the_hub_itself_nobody_needs_a_password(hub: HubBus) -> None:
    with Listener(hub.port) as ears:
        said = mosquitto(hub, "mosquitto_pub", "-t", "harvester/pi4/buzzer/cmd", "-m", "beep")
        assert said.returncode == 0
        assert ears.wait_topic("harvester/pi4/buzzer/cmd").payload == b"beep"
    heard = mosquitto(hub, "mosquitto_sub", "-t", "$SYS/broker/version", "-C", "1", "-W", "5")
    assert heard.returncode == 0


def test_a_wrong_password_there_is_not_overlooked(hub: HubBus) -> None:
    refused = mosquitto(
        hub, "mosquitto_pub", "-u", "ann", "-P", "x", "-t", "harvester/pi4/fan/cmd", "-m", "on"
    )
    assert refused.returncode != 0
    assert "not authorised" in refused.stderr


def test_somebody_here_speaks_for_no_node(hub: HubBus) -> None:
    with hub.hub_client() as ears, RawClient(hub.port) as local:
        ears.subscribe((EVERYTHING, 0))
        assert local.connect("local") == 0
        local.publish("harvester/pi4/status", b"forged", retain=True)
        ears.ping()
        assert ears.messages == []


def test_a_token_opens_nothing_but_its_own_subtree(hub: HubBus, victim: str, thief: str) -> None:
    with (
        hub.hub_client() as ears,
        hub.client("victim", victim) as mine,
        hub.client("thief", thief) as theirs,
    ):
        ears.subscribe((EVERYTHING, 0))
        mine.subscribe(("harvester/victim/+/cmd", 1))
        for topic in (
            *("harvester/victim/status", "harvester/victim/readings/x", "harvester/thief/stored"),
            *("harvester/victim/buzzer/cmd", "harvester/thief/buzzer/cmd", "harvester/victim/x/y"),
            *("harvester", "other/topic", "harvester/thief/a/b/c"),
        ):
            theirs.publish(topic, b"forged", retain=True)
        wanted = [
            *("#", "+/+/+", EVERYTHING, "harvester/victim/#", "harvester/victim/+/cmd"),
            *("harvester/+/+/cmd", "harvester/+/#", "+/victim/+/cmd"),
        ]
        assert theirs.subscribe(*((text, 1) for text in wanted)) == [1] * len(wanted)
        refused = ["$SYS/#", "$share/g/other/#", "harvester/victim/stored", "other/#"]
        assert theirs.subscribe(*((text, 1) for text in refused)) == [0x80] * len(refused)
        ears.publish("harvester/victim/buzzer/cmd", b"beep")
        theirs.ping()
        assert theirs.messages == []
        assert mine.receive().payload == b"beep"
        ears.ping()
        assert [m.payload for m in ears.messages] == [b"beep"]
    with hub.hub_client() as late:
        late.subscribe((EVERYTHING, 0))
        late.ping()
        assert [m for m in late.messages if m.payload == b"forged"] == []


@pytest.mark.parametrize("clean", [True, False])
def test_nobody_takes_over_what_is_anothers(
    hub: HubBus, victim: str, thief: str, clean: bool
) -> None:
    """The victim keeps its connection, its session and its queue; no will appears."""
    will = ("harvester/victim/status", b"forged", 1, True)
    with hub.hub_client() as ears:
        ears.subscribe((EVERYTHING, 0))
        with RawClient(hub.port) as mine:
            mine.connect("victim", username="victim", password=victim.encode(), clean=False)
            mine.subscribe(("harvester/victim/+/cmd", 1))
            for options in (
                {"username": "thief", "password": thief.encode(), "will": will},
                {"username": "victim", "password": tokens.new_token().encode(), "will": will},
                {"username": "victim", "password": b"guess", "will": will},
                {"username": "victim", "will": will},
                {"username": "hub_app", "password": thief.encode(), "will": will},
            ):
                assert hub.code("victim", clean=clean, **options) == NOT_AUTHORIZED
            assert hub.code("hub_app", username="thief", password=thief.encode()) == NOT_AUTHORIZED
            # Who is on this machine may call itself anything: it has a session of its own.
            assert hub.code("victim", clean=clean) == 0
            mine.ping()
            assert mine.messages == []
        ears.publish("harvester/victim/fan/cmd", b"on")
        ears.ping()
        assert [m.payload for m in ears.messages] == [b"on"]
    with RawClient(hub.port) as again:
        assert (
            again.connect("victim", username="victim", password=victim.encode(), clean=False) == 0
        )
        assert again.session_present
        assert [m.payload for m in again.take(1)] == [b"on"]


def test_a_forged_will_is_never_published(hub: HubBus, thief: str) -> None:
    with hub.hub_client() as ears:
        ears.subscribe((EVERYTHING, 0))
        for topic in (
            *("harvester/victim/status", "harvester/thief/stored", "harvester/thief/fan/cmd"),
            "homeassistant/status",
        ):
            with RawClient(hub.port) as client:
                will = (topic, b"forged", 0, True)
                code = client.connect("thief", username="thief", password=thief.encode(), will=will)
                assert code == 0
                client.reset()
        with hub.client("thief", thief) as again:
            again.ping()
        ears.ping()
        assert [m for m in ears.messages if m.payload == b"forged"] == []


def test_here_too_a_node_needs_its_login(hub: HubBus) -> None:
    """A node that has lost its credentials is told so, rather than let in as an operator."""
    assert hub.code("pi4", will=("harvester/pi4/status", b"offline", 1, True)) == NOT_AUTHORIZED
    assert hub.code("ha", will=("homeassistant/status", b"offline", 1, True)) == 0


def test_a_viewer_looks_and_an_operator_commands(hub: HubBus) -> None:
    accounts.set_password(hub.accounts, "ann", Role.OPERATOR, "correct horse")
    accounts.set_password(hub.accounts, "vic", Role.VIEWER, "battery staple")
    with hub.person("ann", "correct horse", "a") as ann, hub.person("vic", "battery staple") as vic:
        assert ann.subscribe((EVERYTHING, 1), ("$SYS/#", 0)) == [1, 0]
        assert vic.subscribe((EVERYTHING, 0)) == [0]
        vic.publish("harvester/pi4/fan/cmd", b"forged")
        ann.publish("harvester/pi4/fan/cmd", b"on")
        ann.publish("harvester/pi4/status", b"forged")
        vic.ping()
        assert [m.payload for m in vic.messages if m.topic.startswith("harvester/pi4")] == [b"on"]
        accounts.revoke(hub.accounts, "vic")
        assert vic.is_closed(WAIT_S)
    assert hub.code("vic", username="vic", password=b"battery staple") == NOT_AUTHORIZED


OF_OTHER_PRODUCTS = (
    "tasmota/discovery/#",
    "dsmr/#",
    "fully/deviceInfo/+",
    "drop_connect/discovery/#",
)


def test_home_assistant_connects_with_its_defaults_and_without_a_warning(
    hub: HubBus, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.set_password(hub.accounts, "ha", Role.INTEGRATION, "has own secret")
    caplog.set_level(logging.INFO)
    will = ("homeassistant/status", b"offline", 0, False)
    for start in ("start1", "start2"):
        with (
            RawClient(hub.port) as home,
            hub.person("ha", "has own secret", "second"),
            RawClient(hub.port) as ears,
        ):
            login = {"username": "ha", "password": b"has own secret"}
            assert home.connect(start, will=will, **login) == 0
            assert home.subscribe(("homeassistant/#", 0), ("harvester/#", 1)) == [0, 1]
            assert home.subscribe(*((text, 0) for text in OF_OTHER_PRODUCTS)) == [0x80] * 4
            assert ears.connect("ears") == 0
            ears.subscribe(("homeassistant/status", 0), ("harvester/pi4/+/cmd", 0))
            home.send(publish("homeassistant/status", b"online"))
            home.send(publish("homeassistant/sensor/x/config", b"not allowed"))
            home.send(publish("harvester/pi4/buzzer/cmd", b"beep"))
            home.send(publish("harvester/pi4/status", b"not allowed"))
            home.ping()
            home.reset()
            heard = [(m.topic, m.payload) for m in ears.take(3)]
            assert sorted(heard) == [
                ("harvester/pi4/buzzer/cmd", b"beep"),
                ("homeassistant/status", b"offline"),
                ("homeassistant/status", b"online"),
            ]
    with hub.person("ha", "has own secret") as home, RawClient(hub.port) as ears:
        home.send(publish("homeassistant/status", b"online", retain=True))
        home.ping()
        assert ears.connect("late") == 0
        ears.subscribe(("homeassistant/status", 0))
        assert ears.receive().retain
    lines = [r for r in caplog.records if "may not subscribe" in r.getMessage()]
    assert {line.levelno for line in lines} == {logging.INFO}
    for text in OF_OTHER_PRODUCTS:
        assert sum(text in line.getMessage() for line in lines) == 1


def test_a_node_is_enrolled_and_cut_off_while_all_run(hub: HubBus, tmp_path: Path) -> None:
    file = tmp_path / "credentials.toml"
    config = hub_config(
        tmp_path,
        cluster__role="spoke",
        cluster__node_id="pi4",
        broker__url=f"mqtt://{HOST}:{hub.port}",
        broker__credentials_file=file,
    )
    with Listener(hub.port) as ears, NodeBus(config) as node:
        # It is refused first, and finds its credentials by itself.
        said = harvester(hub, "enroll", "pi4", "--host", HOST, "--output", str(file))
        assert f"the login of pi4 at mqtt://{HOST}:{hub.port}" in said
        online = ears.wait_for(lambda said: b'"online"' in said.payload)
        assert online.topic == Topic("pi4", TopicKind.STATUS)
        before = len(ears.said)
        assert harvester(hub, "enroll", "pi4", "--revoke") == "pi4: login revoked\n"
        ears.wait_for(lambda said: b'"offline"' in said.payload, after=before)
        eventually(lambda: not node.connected, "the node stayed connected")
        found = credentials.load(file)
        assert found is not None
        assert hub.code("pi4", username="pi4", password=found.token.encode()) == NOT_AUTHORIZED


def test_a_new_token_ends_what_the_old_one_began(hub: HubBus) -> None:
    old = accounts.enroll(hub.accounts, "pi7")
    with hub.client("pi7", old) as client:
        accounts.enroll(hub.accounts, "pi7")
        assert client.is_closed(WAIT_S)


def test_what_is_published_by_others_stays_when_a_node_is_revoked(hub: HubBus, victim: str) -> None:
    accounts.enroll(hub.accounts, "pi8")
    with hub.client("victim", victim) as bystander:
        accounts.revoke(hub.accounts, "pi8")
        assert not bystander.is_closed(1.0)


def test_a_refused_node_says_which_file_and_what_to_do(hub: HubBus, tmp_path: Path) -> None:
    config = hub_config(
        tmp_path,
        cluster__role="spoke",
        cluster__node_id="pi9",
        broker__url=f"mqtt://{HOST}:{hub.port}",
        broker__credentials_file=tmp_path / "credentials.toml",
    )
    said = Heard(
        f"there is no {tmp_path / 'credentials.toml'}: run `sudo harvester enroll pi9` on the hub"
    )
    logging.getLogger("bus.client.node").addHandler(said)
    with NodeBus(config):
        assert said.heard.wait(WAIT_S)
    logging.getLogger("bus.client.node").removeHandler(said)


def test_the_hubs_own_node_has_credentials_of_its_own(hub: HubBus) -> None:
    connection = credentials.of_node(hub.config, {})
    assert connection.address == (HOST, hub.port)
    with NodeBus(hub.config) as node:
        deadline_s = time.monotonic() + WAIT_S
        while not node.connected:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_the_loopback_rule_can_be_turned_off(tmp_path: Path) -> None:
    with hub_bus(tmp_path, broker__allow_local="false") as closed:
        assert closed.code("somebody") == NOT_AUTHORIZED
        assert closed.code("somebody", username="", password=b"") == NOT_AUTHORIZED
        with closed.hub_client() as client:
            client.ping()


def test_local_clients_can_be_held_to_listening(tmp_path: Path) -> None:
    with hub_bus(tmp_path, broker__allow_local="listen") as hub, RawClient(hub.port) as local:
        assert local.connect("somebody") == 0
        assert local.subscribe(("harvester/#", 1)) == [1]
        with hub.hub_client() as ears:
            ears.subscribe(("harvester/#", 1))
            local.publish("harvester/pi4/buzzer/cmd", b"beep", 1)
            ears.publish("harvester/pi4/buzzer", b"{}", 1)
            assert ears.receive().topic == "harvester/pi4/buzzer"
            assert local.receive().topic == "harvester/pi4/buzzer"


def test_a_login_is_read_by_paho_too(hub: HubBus, victim: str) -> None:
    connected = threading.Event()
    client = BusClient(
        (HOST, hub.port),
        client_id="victim",
        login=Login(username="victim", token=victim),
        on_connect=connected.set,
    )
    client.start()
    assert connected.wait(WAIT_S)
    client.stop()


def test_accounts_that_are_open_to_others_stop_the_hub(tmp_path: Path) -> None:
    accounts.set_password(tmp_path / "accounts.json", "ann", Role.VIEWER, "x")
    (tmp_path / "accounts.json").chmod(0o644)
    keys = {"broker.port": free_port(), "web.port": free_port(), "storage.state_dir": tmp_path}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "hub_app.cli"),
            *(part for key, value in keys.items() for part in ("--set", f"{key}={value}")),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "found mode 0644, expected 0600" in done.stderr


@pytest.mark.parametrize(
    ("listen", "reached"), [("127.0.0.5", "127.0.0.5"), ("::", "::1"), ("::", "127.0.0.5")]
)
def test_own_clients_find_the_broker_wherever_it_listens(
    tmp_path: Path, listen: str, reached: str
) -> None:
    with hub_bus(tmp_path, broker__listen=listen) as hub:
        address = hub.config.broker_address
        for host in (address[0], reached):
            with socket.create_connection((host, address[1]), WAIT_S) as sock:
                sock.sendall(connect("own"))
                assert sock.recv(4) == b"\x20\x02\0\0"
