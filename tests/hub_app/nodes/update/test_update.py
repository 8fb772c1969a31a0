"""Nodes of a running hub are updated: asked in turn, served over TLS with their accounts."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts, bundle_key, certificates
from broker.auth.server_tls import CA_NAME
from bus.client.client import BusClient
from bus.client.credentials import Credentials
from bus.client.login import Login
from bus.contract.messages import Result, UpdateState
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.errors import UnavailableError
from bus.files import private_file
from bus.install.version import VERSION
from harvester.update.hub_wheels import HubWheels
from harvester.update.trust import UpdateHub
from hub_app.nodes.join.wheels import FOLDER
from hub_app.nodes.update import round_file
from tests.hub_app.whole_hub import Hub, status
from tests.support import HOST, free_port, wait_until

WHEEL = "harvester_edge-0.0.0-py3-none-any.whl"
CONTENT = b"a wheel"


class Site:
    """A running hub with certificates and one wheel, and the logins of nodes."""

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub, self.port = hub, port
        self.tokens: dict[str, str] = {}

    def enroll(self, name: str) -> None:
        self.tokens[name] = accounts.enroll(self.hub.state / "accounts.json", name)

    def wheels(self, name: str, token: str = "") -> HubWheels:
        ca = (self.hub.state / "tls" / CA_NAME).read_text()
        account = Credentials(username=name, token=token or self.tokens[name])
        return HubWheels(UpdateHub(host=HOST, port=self.port, ca_certificate=ca), account)

    def start(self, nodes: list[str], canary: str = "") -> None:
        answer = self.hub.http.post("/api/updates", json={"nodes": nodes, "canary": canary})
        assert answer.is_success, answer.text

    def round(self) -> dict[str, str]:
        found = self.hub.http.get("/api/updates").json()
        return {node["node"]: node["progress"] for node in found["nodes"]}

    def presence(self, name: str) -> str:
        nodes = self.hub.http.get("/api/nodes").json()["nodes"]
        return next(node["presence"] for node in nodes if node["node"] == name)

    def stopped(self) -> str:
        return str(self.hub.http.get("/api/updates").json()["stopped"])


class Node:
    """A node that is asked to look; `tell` publishes what became of it."""

    def __init__(self, site: Site, name: str, error: str = "") -> None:
        self.name, self.asked, self._error = name, 0, error
        self._client = BusClient(
            (HOST, site.hub.mqtt_port),
            client_id=name,
            login=Login(username=name, token=site.tokens[name]),
            filters=[topic_filter(TopicKind.COMMAND, name)],
            on_message=self._answer,
        )

    def _answer(self, topic: str, payload: bytes) -> None:
        assert topic == f"harvester/{self.name}/update/cmd"
        self.asked += 1
        result = Result(msgspec.json.decode(payload)["id"], not self._error, self._error, 1)
        self._client.publish(Topic(self.name, TopicKind.RESULT, "update"), result)

    def tell(self, phase: str, reason: str = "") -> None:
        state = UpdateState(phase, "0.1.0", "0.2.0", reason, self.asked)
        self._client.publish(Topic(self.name, TopicKind.UPDATE), state)

    @contextlib.contextmanager
    def online(self) -> Iterator["Node"]:
        self._client.start()
        try:
            wait_until(lambda: self._client.connected)
            self._client.publish(Topic(self.name, TopicKind.STATUS), status("online"))
            yield self
        finally:
            self._client.publish(Topic(self.name, TopicKind.STATUS), status("offline"))
            self._client.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hub = Hub(tmp_path_factory.mktemp("update"))
    certificates.init(hub.state / "tls", [HOST], dt.datetime.now(dt.UTC))
    (hub.state / FOLDER).mkdir()
    (hub.state / FOLDER / WHEEL).write_bytes(CONTENT)
    port = free_port()
    keys = {"web__join_listen": HOST, "web__join_port": port, "broker__tls_port": free_port()}
    with hub.http, hub.running(**keys):
        made = Site(hub, port)
        for name in ("pi4", "pi5", "pi6"):
            made.enroll(name)
        yield made


def known(site: Site, *names: str) -> None:
    wait_until(lambda: {*names} <= site.hub.nodes())


def test_nodes_are_asked_in_turn_and_fetch_the_wheels_meanwhile(site: Site, tmp_path: Path) -> None:
    with Node(site, "pi4").online() as pi4, Node(site, "pi5").online() as pi5:
        known(site, "pi4", "pi5")
        site.start(["pi5", "pi4"], canary="pi4")
        wait_until(lambda: pi4.asked == 1)
        found = site.wheels("pi4").list([])
        assert (found.version, found.wheels[0].name) == (VERSION, WHEEL)
        assert found.bundle_key == bundle_key.ensure(site.hub.state)
        assert site.wheels("pi4").fetch(found, tmp_path / "wheels").read_bytes() == CONTENT
        with pytest.raises(UnavailableError, match="/dev/full: cannot be written: No space left"):
            site.wheels("pi4")._fetch(found.wheels[0], Path("/dev/full"))
        with pytest.raises(UnavailableError, match="no login of a node"):
            site.wheels("pi4", "wrong").list([])
        assert pi5.asked == 0
        pi4.tell("trial")
        pi4.tell("kept")
        wait_until(lambda: pi5.asked == 1)
        pi5.tell("kept")
        wait_until(lambda: site.round() == {"pi4": "done", "pi5": "done"})
    nodes = {n["node"]: n for n in site.hub.http.get("/api/nodes").json()["nodes"]}
    assert nodes["pi4"]["update"]["phase"] == "kept"


def test_a_roll_back_stops_the_round_and_says_why(site: Site) -> None:
    with Node(site, "pi4").online() as pi4, Node(site, "pi5").online() as pi5:
        known(site, "pi4", "pi5")
        site.start([], canary="pi4")
        wait_until(lambda: pi4.asked == 1)
        pi4.tell("rolled-back", "it has stored no reading in 60 s")
        wait_until(lambda: site.stopped() == "pi4: it has stored no reading in 60 s")
        assert (site.round()["pi5"], pi5.asked) == ("waiting", 0)
        assert "it has stored no reading" in site.hub.http.get("/system").text


def test_a_node_that_refuses_stops_the_round(site: Site) -> None:
    with Node(site, "pi4", error="found no hub").online():
        known(site, "pi4")
        site.start(["pi4"])
        wait_until(lambda: site.stopped() == "pi4: found no hub")


def test_a_node_that_is_away_is_updated_when_it_comes(site: Site) -> None:
    with Node(site, "pi6").online():
        known(site, "pi6")
    wait_until(lambda: site.presence("pi6") != "online")
    site.start(["pi6"])
    assert site.round() == {"pi6": "waiting"}
    with Node(site, "pi6").online() as pi6:
        wait_until(lambda: pi6.asked == 1)
        pi6.tell("up-to-date")
        wait_until(lambda: site.round() == {"pi6": "done"})


@pytest.mark.parametrize("body", [{"nodes": ["nobody"]}, {"nodes": ["revpi"]}, {"canary": "x1"}])
def test_a_node_that_there_is_not_begins_no_round(site: Site, body: dict[str, object]) -> None:
    answer = site.hub.http.post("/api/updates", json=body)
    assert answer.status_code == 400
    assert "expected a node of this hub" in answer.json()["error"]


def test_a_damaged_file_of_rounds_is_told(site: Site) -> None:
    path = site.hub.state / round_file.FILE_NAME
    with Node(site, "pi4").online():
        known(site, "pi4")
        private_file.write(path, b"[]")
        try:
            assert f"{path}: found no round of updates" in site.stopped()
            page = site.hub.http.get("/system")
            assert (page.status_code, "found no round of updates" in page.text) == (200, True)
            answer = site.hub.http.post("/api/updates", json={})
            assert (answer.status_code, "remove it" in answer.text) == (400, True)
        finally:
            path.unlink()
        wait_until(lambda: not site.stopped())
