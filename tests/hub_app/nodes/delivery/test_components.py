"""Components are delivered by a running hub to real agents: fetched, verified, tried, kept."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.auth import accounts, bundle_key, certificates
from broker.auth.server_tls import CA_NAME
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.contract.messages import DeliveryState, Reading
from bus.contract.plugin_file.component_file import COMPONENTS_PATH
from harvester import cli
from hub_app.nodes.delivery.delivery_files import DeliveryFiles
from node_agent.delivery.plugin_delivery import PluginDelivery
from tests.http_client import get
from tests.hub_app.nodes.delivery.sites import ROOM, Node, cycling, rollout, versions
from tests.hub_app.whole_hub import Hub
from tests.signed_bundles import component
from tests.support import (
    HOST,
    PATIENT_S,
    Listener,
    Said,
    Service,
    free_port,
    mosquitto,
    settings,
    wait_until,
)

CONFIG = f"""
[plugins]
enabled = ["{ROOM}"]
load_deadline_s = {PATIENT_S}
poll_deadline_s = {PATIENT_S}
[polling]
interval_seconds = 0.1
"""


class Site:
    """A running hub with certificates, and agents whose own file of `room` answers 1."""

    def __init__(self, hub: Hub, join_port: int, tls_port: int, folder: Path) -> None:
        self.hub, self.join_port, self.folder = hub, join_port, folder
        self._urls = {True: f"mqtts://{HOST}:{tls_port}", False: f"mqtt://{HOST}:{hub.mqtt_port}"}

    def enroll(self, name: str, *, tls: bool) -> None:
        made = Credentials(
            username=name,
            token=accounts.enroll(self.hub.state / "accounts.json", name),
            url=self._urls[tls],
            ca_certificate=(self.hub.state / "tls" / CA_NAME).read_text() if tls else "",
            bundle_key=bundle_key.ensure(self.hub.state),
        )
        folder = self.folder / name
        own = folder / "plugins" / ROOM / f"{ROOM}.wasm"
        own.parent.mkdir(parents=True)
        own.write_bytes(component("1"))
        credentials.save(folder / "credentials.toml", made)
        (folder / "spoke.toml").write_text(CONFIG)

    @contextlib.contextmanager
    def agent(self, name: str) -> Iterator[Service]:
        folder = self.folder / name
        arguments = [
            *("--role", "spoke", "--simulate", "--config", str(folder / "spoke.toml")),
            *settings(
                cluster__node_id=name,
                broker__credentials_file=folder / "credentials.toml",
                plugins__directory=folder / "plugins",
                storage__cache_dir=folder / "cache",
                storage__state_dir=folder / "state",
                storage__runtime_dir=folder / "run",
            ),
        ]
        with Service("node_agent.cli", arguments, folder / "log") as service:
            yield service

    def deploy(self, name: str, content: bytes, *options: str) -> None:
        """Deploy a component as a person does on the hub."""
        file = self.folder / f"{ROOM}.wasm"
        file.write_bytes(content)
        where = ["--world", "sensor-plugin", "--to", name, "--polls", "3", *options]
        cli.main(["plugins", "deploy", str(file), *where, "--config", str(self.hub.config)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("components")
    hub = Hub(folder)
    certificates.init(hub.state / "tls", [HOST], dt.datetime.now(dt.UTC))
    join_port, tls_port = free_port(), free_port()
    keys = {
        "web__join_listen": HOST,
        "web__join_port": join_port,
        "broker__tls_port": tls_port,
    }
    with hub.http, hub.running(**keys):
        yield Site(hub, join_port, tls_port, folder)


def reads(node: str, value: float, ears: Listener, *, after: int = 0) -> None:
    def is_it(said: Said) -> bool:
        found = said.message
        return (
            said.topic.node == node
            and isinstance(found, Reading)
            and found.data == {"answer": value}
        )

    ears.wait_for(is_it, after=after)


def told(node: str, ears: Listener, phase: str) -> DeliveryState:
    def is_it(said: Said) -> bool:
        found = said.message
        return said.topic.node == node and isinstance(found, DeliveryState) and found.phase == phase

    found = ears.wait_for(is_it).message
    assert isinstance(found, DeliveryState)
    return found


def test_a_component_is_fetched_with_the_nodes_login_tried_and_kept(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "pi-tls"
    site.enroll(name, tls=True)
    with Listener(site.hub.mqtt_port) as ears, site.agent(name) as agent:
        reads(name, 1, ears)
        wait_until(lambda: name in versions(site.hub))
        site.deploy(name, component("2", 2))
        assert f"{name}: kept" in capsys.readouterr().out, agent.output()
        fetching = told(name, ears, "fetching")
        assert (fetching.version, fetching.running) == ("2", 0)
        reads(name, 2, ears)
        # Another one follows, and the node goes back to the former, which it has no more.
        site.deploy(name, component("3"))
        reads(name, 3, ears)
        cli.main(["plugins", "rollback", ROOM, "--to", name, "--config", str(site.hub.config)])
        assert f"{name}: kept" in capsys.readouterr().out
        assert versions(site.hub)[name]["wanted_version"] == "2"
        assert agent.stop() == 0
    wait_until(lambda: not is_open(site))
    bundles = site.folder / name / "state" / "bundles"
    assert len(list(bundles.glob("*.wasm"))) <= 2
    assert list(bundles.glob("*.fetched")) == []
    heard = len(ears.said)
    with Listener(site.hub.mqtt_port) as again, site.agent(name):
        reads(name, 2, again, after=heard)


def is_open(site: Site) -> bool:
    return answer(f"http://{HOST}:{site.join_port}/", "", "") != 0


def answer(url: str, name: str, token: str) -> int:
    """Return the status of an answer, 0 where the port is closed."""
    try:
        return get(url, auth=(name, token)).status_code
    except httpx.TransportError:
        return 0


def test_a_component_that_was_changed_at_the_hub_is_refused_and_the_old_one_runs(
    site: Site,
) -> None:
    site.enroll("pi-far", tls=True)
    content = component("6", 1)
    with Listener(site.hub.mqtt_port) as ears, site.agent("pi-far"):
        reads("pi-far", 1, ears)
    wait_until(lambda: "pi-far" in versions(site.hub))
    site.deploy("pi-far", content, "--no-wait")
    wait_until(lambda: versions(site.hub)["pi-far"]["wanted_version"] == "6")
    kept = DeliveryFiles(site.hub.state).component(versions(site.hub)["pi-far"]["wanted_sha256"])
    kept.write_bytes(content.replace(b"by-hand", b"by-evil"))
    with Listener(site.hub.mqtt_port) as ears, site.agent("pi-far"):
        found = told("pi-far", ears, "failed")
        assert "which is signed" in found.reason
        assert found.running == 0
        reads("pi-far", 1, ears, after=len(ears.said))


def test_a_component_is_for_the_node_alone_that_it_was_ordered_for(
    site: Site, tmp_path: Path
) -> None:
    site.enroll("pi-other", tls=False)
    slow = Node(site.hub, "pi-slow", tmp_path)
    with slow.online():
        wait_until(lambda: "pi-slow" in versions(site.hub))
        # It never fetches what is ordered, so that the port stays open.
        slow.deliveries._fetcher.stop(0)
        site.deploy("pi-slow", component("7"), "--no-wait")
        wait_until(lambda: versions(site.hub)["pi-slow"]["wanted_version"] == "7")
        digest = versions(site.hub)["pi-slow"]["wanted_sha256"]
        url = f"http://{HOST}:{site.join_port}{COMPONENTS_PATH}/{digest}"
        logins = {
            200: ("pi-slow", slow._login.token),
            404: ("pi-other", token_of(site, "pi-other")),
            401: ("pi-slow", "wrong"),
        }
        # The port may still be closing after another delivery.
        wait_until(lambda: answer(url, *logins[200]) == 200)
        assert [answer(url, *login) for login in logins.values()] == list(logins)
        # The rest of the port is for TLS alone.
        assert answer(f"http://{HOST}:{site.join_port}/update/wheels", *logins[200]) == 403


def token_of(site: Site, name: str) -> str:
    found = credentials.load(site.folder / name / "credentials.toml")
    assert found is not None
    return found.token


def test_a_hub_that_is_killed_during_a_transfer_ends_it_after_its_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(tmp_path)
    keys = {"web__join_listen": HOST, "web__join_port": free_port()}
    content = component("2", 50)
    words: list[str] = []
    with hub.http, contextlib.ExitStack() as stack:
        first = stack.enter_context(hub.running(**keys))
        usual = PluginDelivery.fetching

        def kill_hub(delivery: PluginDelivery, text: str) -> None:
            words.append(text)
            has_come = text.endswith(" MB") and not text.startswith("0.0 of")
            if has_come and first.process.poll() is None:
                first.process.kill()
                first.process.wait()
            usual(delivery, text)

        monkeypatch.setattr(PluginDelivery, "fetching", kill_hub)
        pi4 = Node(hub, "pi4", tmp_path)
        with pi4.online(), cycling([pi4]):
            wait_until(lambda: "pi4" in versions(hub))
            file = tmp_path / f"{ROOM}.wasm"
            file.write_bytes(content)
            where = ["--world", "sensor-plugin", "--to", "pi4", "--polls", "3", "--no-wait"]
            cli.main(["plugins", "deploy", str(file), *where, "--config", str(hub.config)])
            wait_until(lambda: first.process.poll() is not None)
            # What had come is not fetched again.
            words.clear()
            wait_until(lambda: any("next try in" in text for text in words))
            (partial,) = (tmp_path / "pi4" / "bundles").glob("*.fetched")
            assert 0 < partial.stat().st_size < len(content)
            stack.enter_context(hub.running(**keys))
            wait_until(lambda: bool(rollout(hub).get("is_over")))
            assert pi4.ran == [content]
            assert versions(hub)["pi4"]["phase"] == "kept"
    assert not any(text.startswith("0.0 of") for text in words)


@pytest.mark.parametrize("join_name", ["", "localhost"])
def test_a_node_of_another_broker_fetches_a_component_at_the_hub_that_the_order_names(
    tmp_path: Path, join_name: str
) -> None:
    hub = Hub(tmp_path)
    keys = {
        "broker__url": f"mqtt://{HOST}:{hub.mqtt_port}",
        "web__join_listen": HOST,
        "web__join_port": free_port(),
        "web__join_name": join_name,
    }
    (tmp_path / "mosquitto").mkdir()
    with hub.http, mosquitto(hub.mqtt_port, tmp_path / "mosquitto"), hub.running(**keys):
        pi4 = Node(hub, "pi4", tmp_path)
        pi4.broker_host = "broker.invalid"
        with pi4.online(), cycling([pi4]):
            wait_until(lambda: "pi4" in versions(hub))
            file = tmp_path / f"{ROOM}.wasm"
            file.write_bytes(component("2"))
            where = ["--world", "sensor-plugin", "--to", "pi4", "--polls", "3"]
            cli.main(["plugins", "deploy", str(file), *where, "--config", str(hub.config)])
            assert pi4.ran == [file.read_bytes()]
