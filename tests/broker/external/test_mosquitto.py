"""Mosquitto in the hub's place, with the files that `harvester broker acl` writes."""

import getpass
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from broker.auth import accounts, tokens
from broker.auth.accounts import Accounts, Person
from broker.auth.gate import Role
from broker.external.mosquitto import acl, conf
from bus.client import credentials
from bus.client.node import NodeBus
from bus.config.broker_table import BrokerConfig, LocalAccess
from bus.contract.topics import TopicKind, parse
from bus.errors import BadTopicError
from tests.broker.auth import oracle
from tests.broker.auth.cases import NODE, OTHER, PEOPLE, SCOPE, Case, case_of
from tests.broker.auth.hub import connected, hub_config
from tests.broker.embedded.raw import RawClient, publish
from tests.http_client import http_client
from tests.support import (
    HOST,
    WAIT_S,
    Listener,
    Service,
    free_port,
    program,
    settings,
    wait_until_listening,
)

CASES = 3_000
NOT_AUTHORIZED = 5
PASSWORD = "correct horse"


class Mosquitto(msgspec.Struct):
    """Ports: for logins, for this machine, and one without any rule, for the test alone."""

    port: int
    local_port: int
    spy_port: int
    state: Path
    secrets: dict[Role, str]

    def client(self, role: Role) -> RawClient:
        return connected(self.port, PEOPLE[role].name, self.secrets[role].encode())

    def spy(self) -> RawClient:
        client = RawClient(self.spy_port)
        assert client.connect("spy") == 0
        return client


def write_files(state: Path, ports: list[int]) -> None:
    """Write the files for Mosquitto by `harvester broker acl`."""
    keys = settings(
        storage__state_dir=state,
        broker__listen=HOST,
        broker__url=f"mqtt://{HOST}:{ports[0]}",
        cluster__node_id="revpi",
        broker__open_roots=json.dumps(SCOPE.open_roots),
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "harvester.cli", "broker", "acl", *keys),
            *("--output", state / "out", "--installed", state / "out"),
            *("--local-port", str(ports[1])),
        ],
        check=True,
        cwd=state,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    state = tmp_path_factory.mktemp("mosquitto")
    ports = [free_port() for _ in range(3)]
    path = state / "accounts.json"
    secrets = {Role.NODE: accounts.enroll(path, NODE)}
    accounts.enroll(path, OTHER)
    for role in (Role.OPERATOR, Role.VIEWER, Role.INTEGRATION, Role.DEVICE):
        accounts.set_password(path, PEOPLE[role].name, role, PASSWORD)
        secrets[role] = PASSWORD
    write_files(state, ports)
    hub = credentials.load(state / "hub_app.toml")
    assert hub is not None
    secrets[Role.HUB] = hub.token
    conf = state / "mosquitto.conf"
    spy = f"listener {ports[2]} {HOST}\nallow_anonymous true\n"
    # As root it would become another user, who cannot read the files.
    text = f"user {getpass.getuser()}\n{(state / 'out' / 'harvester.conf').read_text()}{spy}"
    conf.write_text(text.replace("max_queued_messages 1000", "max_queued_messages 10000"))
    with subprocess.Popen(
        [program("mosquitto"), "-c", str(conf)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until_listening(ports[2])
            yield Mosquitto(*ports, state, secrets)
        finally:
            process.terminate()
            process.wait(WAIT_S)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    random = Random(1)
    made = {case_of(random.getrandbits(64)) for _ in range(3 * CASES)}
    published = sorted((c for c in made if c.publishes), key=msgspec.structs.astuple)
    # Mosquitto, too, closes the connection of who publishes to such a topic.
    return [case for case in published if case.text and not case.text.startswith("$")][:CASES]


def is_known(topic: str) -> bool:
    try:
        parse(topic)
    except BadTopicError:
        return False
    return True


@pytest.mark.parametrize(
    ("allow_local", "rights"), [(True, 2), ("command", 2), ("listen", 1), (False, 0)]
)
def test_local_clients_have_the_rights_that_the_hub_gives_them(
    allow_local: LocalAccess, rights: int
) -> None:
    found = Accounts(people={"ann": Person(Role.OPERATOR, "", "", 0)})
    anonymous = acl(found, allow_local=allow_local).partition("user ann")[0]
    assert ("topic read harvester/#" in anonymous) == (rights > 0)
    assert ("topic write" in anonymous) == (rights > 1)
    text = conf(BrokerConfig(allow_local=allow_local), "/x", port=1883, local_port=1884)
    assert ("listener 1884 127.0.0.1" in text) == (rights > 0)


def test_nothing_well_spelled_gets_through_that_the_oracle_forbids(
    mosquitto: Mosquitto, cases: list[Case]
) -> None:
    """But for a node's commands to itself, which the file's head tells of."""
    with mosquitto.spy() as ears:
        ears.subscribe(("#", 0))
        for role in Role:
            with mosquitto.client(role) as mouth:
                for n, case in enumerate(cases):
                    if case.role is role:
                        mouth.send(publish(case.text, b"%d" % n))
                mouth.ping()
            ears.ping()
        heard = {cases[int(message.payload)] for message in ears.messages}
    kinds = ("plugins", "readings", "sensors", "events")
    own = {(Role.NODE, f"harvester/{NODE}/{kind}/cmd") for kind in kinds}
    for case in heard:
        who = PEOPLE[case.role]
        root, node, *_ = case.text.split("/")
        if root in SCOPE.open_roots:
            hub = (Role.HUB,) if root == "homeassistant" else ()
            assert who.role in (*hub, Role.INTEGRATION) or node == who.name
            continue
        assert root == "harvester"
        commands = (Role.OPERATOR, Role.INTEGRATION)
        assert who.role in (Role.HUB, *commands) or node == who.name
        assert who.role is not Role.VIEWER
        if oracle.spelled_well(case.text):
            assert oracle.publishes(who, case.text) or (who.role, case.text) in own
    wanted = {
        case
        for case in cases
        if (is_known(case.text) or oracle.is_open(PEOPLE[case.role], case.text))
        and oracle.publishes(PEOPLE[case.role], case.text)
    }
    assert wanted
    assert wanted - heard == set()


@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
def test_nobody_receives_what_the_oracle_forbids(
    mosquitto: Mosquitto, cases: list[Case], retain: bool
) -> None:
    said = sorted({case.text for case in cases})[:800]
    with mosquitto.spy() as mouth:

        def listening() -> dict[Role, RawClient]:
            clients = {role: mosquitto.client(role) for role in Role}
            for client in clients.values():
                client.subscribe(("#", 0))
            return clients

        listeners = {} if retain else listening()
        for topic in said:
            mouth.send(publish(topic, b"x", retain=retain))
        mouth.ping()
        for role, ears in (listeners or listening()).items():
            ears.ping()
            heard = {message.topic for message in ears.messages if message.payload == b"x"}
            allowed = {topic for topic in said if oracle.reads(PEOPLE[role], topic)}
            # It has no exceptions to a pattern.
            assert {
                topic for topic in heard - allowed if not oracle.is_of_discovery_of_hub(topic)
            } == set()
            assert allowed - heard == set()
            ears.sock.close()
        for topic in said if retain else ():
            mouth.send(publish(topic, b"", retain=True))
        mouth.ping()


def test_a_login_has_to_be_right(mosquitto: Mosquitto) -> None:
    for options in (
        {},
        {"username": NODE, "password": tokens.new_token().encode()},
        {"username": "ann", "password": b"wrong"},
        {"username": "nobody", "password": PASSWORD.encode()},
    ):
        with RawClient(mosquitto.port) as client:
            assert client.connect("x", **options) == NOT_AUTHORIZED


def test_nobody_takes_over_anothers_connection(mosquitto: Mosquitto) -> None:
    with mosquitto.client(Role.NODE) as victim, mosquitto.spy() as ears:
        ears.subscribe(("harvester/#", 0))
        with connected(mosquitto.port, "ann", PASSWORD.encode(), NODE):
            victim.ping()
        with RawClient(mosquitto.port) as thief:
            will = (f"harvester/{NODE}/status", b"forged", 0, True)
            thief.connect("x", username="ann", password=PASSWORD.encode(), will=will)
            thief.reset()
        victim.ping()
        ears.ping()
        assert [m for m in ears.messages if m.payload == b"forged"] == []


def test_on_its_machine_nobody_needs_a_password(mosquitto: Mosquitto) -> None:
    with Listener(mosquitto.local_port) as ears:
        said = [program("mosquitto_pub"), "-p", str(mosquitto.local_port)]
        subprocess.run([*said, "-t", "harvester/pi4/buzzer/cmd", "-m", "beep"], check=True)
        assert ears.wait_topic("harvester/pi4/buzzer/cmd").payload == b"beep"
        subprocess.run([*said, "-t", "harvester/pi4/status", "-m", "x"], check=True)
        subprocess.run([*said, "-t", "harvester/pi4/fan/cmd", "-m", "on"], check=True)
        ears.wait_topic("harvester/pi4/fan/cmd")
        assert [
            s for s in ears.said if s.topic.kind is TopicKind.STATUS and s.payload == b"x"
        ] == []


def test_the_hub_and_its_node_work_with_it(mosquitto: Mosquitto, tmp_path: Path) -> None:
    web_port = free_port()
    keys = {
        "broker__url": f"mqtt://{HOST}:{mosquitto.port}",
        "storage__state_dir": mosquitto.state,
    }
    arguments = settings(
        cluster__role="hub",
        cluster__node_id="revpi",
        web__listen=HOST,
        web__port=web_port,
        plugins__directory=tmp_path,
        **keys,
    )
    (tmp_path / "hub.toml").write_text("")
    service = Service(
        "tests.hub_app.hub_process",
        ["--config", str(tmp_path / "hub.toml"), *arguments],
        tmp_path / "hub.log",
    )
    config = hub_config(mosquitto.state, **keys)
    with service, Listener(mosquitto.local_port) as ears, NodeBus(config) as bus:
        wait_until_listening(web_port)
        bus.publish_reading("air", 1_795_373_155_454, {"temperature": 21.5})
        ears.wait_topic("harvester/revpi/readings/air")
        with http_client(f"http://{HOST}:{web_port}") as client:
            waiting = threading.Event()
            while "revpi:air" not in client.get("/api/readings").text:
                waiting.wait(0.05)
            assert '"temperature":21.5' in client.get("/api/readings").text.replace(" ", "")
