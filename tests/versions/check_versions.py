"""Nodes of one version at the hub of the other: readings stored, states shown, commands done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.auth import accounts
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config.hub_files import ACCOUNTS_NAME
from tests.support import HOST, PROJECT, WAIT_S, free_port, settings, wait_until
from tests.versions import previous

PACE = {"polling__interval_seconds": 0.5, "plugins__poll_deadline_s": 30}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with previous.tree(tmp_path_factory.mktemp("versions")) as root:
        yield root


class Site:
    """A hub of one tree and the nodes of another."""

    def __init__(self, hub: Path, nodes: Path, folder: Path) -> None:
        self.hub, self.nodes, self.folder = hub, nodes, folder
        self.web_port, self.mqtt_port = free_port(), free_port()
        self.http = httpx.Client(
            base_url=f"http://{HOST}:{self.web_port}", timeout=WAIT_S, trust_env=False
        )

    def hub_arguments(self) -> list[str]:
        return settings(
            web__listen=HOST,
            web__port=self.web_port,
            broker__listen=HOST,
            broker__port=self.mqtt_port,
            storage__state_dir=self.folder / "hub",
        )

    def node_arguments(self, name: str) -> list[str]:
        keys = PACE | {"broker__url": f"mqtt://{HOST}:{self.mqtt_port}"}
        login = self.folder / f"{name}.toml"
        token = accounts.enroll(self.folder / "hub" / ACCOUNTS_NAME, name)
        credentials.save(login, Credentials(username=name, token=token))
        keys |= {"storage__state_dir": self.folder / name, "broker__credentials_file": login}
        keys |= {"storage__runtime_dir": self.folder / name / "run"}
        return ["--simulate", *settings(**keys)]

    def get(self, path: str) -> Any:
        try:
            return self.http.get(path).json()
        except (httpx.HTTPError, json.JSONDecodeError):
            return {}

    def post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        return dict(self.http.post(path, json=body).json())


@pytest.fixture(scope="module", params=["older nodes", "older hub"])
def site(
    request: pytest.FixtureRequest, before: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    hub, nodes = (PROJECT, before) if request.param == "older nodes" else (before, PROJECT)
    made = Site(hub, nodes, folder)
    node = ["--role", "spoke", "--config", "config/spoke.toml", *made.node_arguments("pi4")]
    zero = ["--config", "config/pizero.toml", *made.node_arguments("pizero")]
    zero += settings(web__listen=HOST, web__port=free_port(), pings__hosts=f'{{here = "{HOST}"}}')
    with (
        made.http,
        previous.program(
            hub,
            "hub_app.cli",
            ["--config", "config/hub.toml", *made.hub_arguments()],
            folder / "hub.log",
        ),
        previous.program(nodes, "node_agent.cli", node, folder / "pi4.log"),
        previous.program(nodes, "pizero_native.cli", zero, folder / "pizero.log"),
    ):
        yield made


def node_of(site: Site, name: str) -> dict[str, Any]:
    nodes = site.get("/api/nodes").get("nodes", [])
    return next((node for node in nodes if node["node"] == name), {})


@pytest.mark.parametrize("name", ["pi4", "pizero"])
def test_a_node_is_online_with_its_readings_stored(site: Site, name: str) -> None:
    wait_until(lambda: node_of(site, name).get("presence") == "online")
    wait_until(
        lambda: any(
            r["sensor_id"].startswith(f"{name}:") for r in site.get("/api/readings")["readings"]
        )
    )
    # An outbox is emptied by what the hub has stored.
    wait_until(lambda: (node_of(site, name).get("heartbeat") or {}).get("outbox_rows", 99) < 50)
    wait_until(lambda: site.get("/health")["history"]["stored"] > 0)
    assert site.get("/health")["status"] == "ok"


def test_every_message_is_understood(site: Site) -> None:
    wait_until(lambda: node_of(site, "pi4").get("about"))
    # Kinds of topics that the other version does not have.
    newer = {"update", "costs", "deliveries", "records", "shadows"}
    topics = site.get("/health").get("undecodable") or {}
    assert {topic.split("/")[2] for topic in topics} <= newer


def test_commands_are_carried_out(site: Site) -> None:
    wait_until(lambda: node_of(site, "pi4").get("fan"))
    assert site.post("/api/fan", {"node": "pi4", "mode": "on"})["ok"]
    assert site.post("/api/leds", {"node": "pi4", "index": 5, "color": "#ff8800"})["ok"]
    assert site.post("/api/names", {"node": "pizero", "title": "Shed"})["ok"]
    refused = site.post("/api/fan", {"node": "pi4", "mode": "sideways"})
    assert not refused["ok"]


def test_every_view_is_shown(site: Site) -> None:
    for path in ("/", "/node/pi4", "/system", "/log", "/alarms"):
        assert site.http.get(path).status_code == 200
