"""NATS in the hub's place, with the file that `harvester broker acl --format nats` writes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts
from broker.auth.accounts import Accounts, Machine, Person
from broker.auth.acl import rights_of
from broker.auth.gate import Role
from broker.external import nats
from bus.client import credentials
from bus.config.broker_table import BrokerConfig
from bus.contract.topics import CHANNELS
from bus.errors import MisconfiguredError
from tests.broker.auth import oracle
from tests.broker.auth.cases import NODE, OTHER, PEOPLE, SCOPE
from tests.broker.auth.hub import connected
from tests.broker.embedded.raw import RawClient
from tests.broker.external.nats_server import NatsServer
from tests.support import HOST, PROJECT, free_port, settings, wait_until_listening

PASSWORD = "correct horse"
REFUSED, NOT_AUTHORIZED = 0x80, 5
TOPICS = [
    *(
        "/".join(("harvester", node, *(level.replace("*", "x") for level in channel.levels)))
        for node in (NODE, OTHER)
        for channel in CHANNELS.values()
    ),
    *(f"harvester/{NODE}/fan/cmd", f"harvester/{NODE}/plugins/cmd", f"harvester/{OTHER}/fan/cmd"),
    *("homeassistant/status", "homeassistant/sensor/x/config", "homeassistant/sensor/x/state"),
    *("tele/plug/STATE", "homeassistant/plug", "cmnd/plug/POWER"),
]


class Nats:
    """A running server, and the secrets of one user of each role."""

    def __init__(self, port: int, secrets: dict[str, bytes]) -> None:
        self.port = port
        self._secrets = secrets

    def client(self, name: str) -> RawClient:
        return connected(self.port, name, self._secrets[name])


def write_file(state: Path, port: int, *options: str) -> None:
    keys = settings(
        storage__state_dir=state,
        broker__listen=HOST,
        broker__url=f"mqtt://{HOST}:{port}",
        cluster__node_id="revpi",
        cluster__role="hub",
        broker__open_roots=json.dumps(SCOPE.open_roots),
    )
    command = [sys.executable, "-m", "harvester.cli", "broker", "acl", "--format", "nats"]
    subprocess.run(
        [*command, *keys, "--output", state / "out", *options],
        check=True,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    state = tmp_path_factory.mktemp("nats")
    port, path = free_port(), state / "accounts.json"
    secrets = {NODE: accounts.enroll(path, NODE, with_nats=True).encode()}
    for role in (Role.OPERATOR, Role.VIEWER, Role.INTEGRATION, Role.DEVICE):
        name = PEOPLE[role].name
        accounts.set_password(path, name, role, PASSWORD, with_nats=True)
        secrets[name] = PASSWORD.encode()
    write_file(state, port, "--workers", "2")
    hub = credentials.load(state / "hub_app.toml")
    assert hub is not None
    secrets |= dict.fromkeys(("hub_app", "hub_app-1", "hub_app-2"), hub.token.encode())
    with NatsServer(state, "n", port, 'include "out/harvester.conf"'):
        wait_until_listening(port)
        yield Nats(port, secrets)


@pytest.mark.parametrize("role", list(Role))
def test_what_a_role_may_publish_arrives_and_nothing_else(server: Nats, role: Role) -> None:
    who = PEOPLE[role]
    wanted = {topic for topic in TOPICS if oracle.publishes(who, topic)}
    with connected(server.port, "ha", PASSWORD.encode(), "ears") as ears:
        roots = ("harvester", *SCOPE.open_roots)
        assert ears.subscribe(*((f"{root}/#", 1) for root in roots)) == [1] * len(roots)
        with server.client(who.name) as mouth:
            for topic in TOPICS:
                mouth.publish(topic, b"x", qos=0)
            mouth.ping()
        heard = {message.topic for message in ears.take_rest(len(wanted))}
    assert heard == wanted


@pytest.mark.parametrize("role", list(Role))
def test_what_a_role_may_read_it_may_subscribe_to(server: Nats, role: Role) -> None:
    who = PEOPLE[role]
    rights, open_filters = rights_of(who, SCOPE)
    own = [(text, 1) for text in (*rights.read, *open_filters) if not text.startswith("$")]
    others = [(f"harvester/{OTHER}/stored", 1), ("#", 1), ("other/#", 1)]
    if role is not Role.NODE:
        others = others[1:]
    with server.client(who.name) as client:
        assert client.subscribe(*own) == [1] * len(own)
        assert client.subscribe(*others) == [REFUSED] * len(others)


def test_workers_log_in_with_names_of_their_own(server: Nats) -> None:
    with server.client("hub_app-1") as first, server.client("hub_app-2") as second:
        first.ping()
        second.ping()


def test_a_login_has_to_be_right(server: Nats) -> None:
    for options in ({}, {"username": NODE, "password": b"x"}, {"username": "x", "password": b"x"}):
        with RawClient(server.port) as client:
            assert client.connect("x", **options) == NOT_AUTHORIZED


def test_a_last_will_that_is_not_allowed_is_not_published(server: Nats) -> None:
    with server.client("hub_app") as ears:
        ears.subscribe(("harvester/+/status", 1))
        for node in (OTHER, NODE):
            with RawClient(server.port) as client:
                login = {"username": NODE, "password": server._secrets[NODE]}
                will = (f"harvester/{node}/status", b"gone", 1, False)
                assert client.connect("x", **login, will=will) == 0
                client.reset()
        assert [m.topic for m in ears.take_rest(1)] == [f"harvester/{NODE}/status"]


def test_an_account_without_a_bcrypt_hash_is_named() -> None:
    found = Accounts(nodes={NODE: Machine("", "", 0), OTHER: Machine("", "", 0, "$2b$04$x")})
    with pytest.raises(MisconfiguredError, match=rf"^found no bcrypt hash of {NODE}: "):
        nats.conf(found, BrokerConfig(), port=1883)


def test_with_tls_the_listener_has_the_hubs_certificate() -> None:
    text = nats.conf(Accounts(), BrokerConfig(), port=8883, tls_folder="/etc/nats")
    assert 'tls { cert_file: "/etc/nats/hub.pem", key_file: "/etc/nats/hub.key" }' in text


@pytest.mark.parametrize("pattern", ["tele/*/x", "tele/>", "tele/a.b", "tele//x", "tele/a b"])
def test_topics_that_mean_something_else_to_nats_are_refused(pattern: str) -> None:
    person = Person(Role.DEVICE, "-", "-", 1, "$2b$", (pattern,))
    with pytest.raises(MisconfiguredError, match="the account plug: found the topics"):
        nats.conf(Accounts(people={"plug": person}), BrokerConfig(), port=1)
