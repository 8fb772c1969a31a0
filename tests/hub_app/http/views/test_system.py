"""The view of broker and hub, and the support bundle."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts
from bus.config.limits_table import LimitsConfig
from bus.contract.messages import PluginState, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.http.session_gate import COOKIE
from hub_app.http.views.system.report import near
from hub_app.http.views.system.view import size
from hub_app.quota.live import LiveQuota, QuotaUse
from hub_app.quota.refusals import Reason
from tests.hub_app.conftest import HubProcess
from tests.hub_app.samples import NOW_MS, log
from tests.hub_app.whole_hub import Hub
from tests.support import wait_until

PASSWORD = "correct horse battery"
ADDRESS_SECRET = "topicthatnobodyknows"


def test_the_report_has_versions_figures_and_sizes(hub: HubProcess) -> None:
    found = hub.http.get("/api/system").json()
    assert {"harvester", "commit", "python", "amqtt"} <= found["versions"].keys()
    assert found["history_file"]["bytes"] > 0
    assert found["faults"] == []
    # The broker of the tests is another program.
    assert found["broker"] is None
    page = hub.http.get("/system").text
    assert "all below 80 %" in page
    assert "another program" in page


def test_quotas_near_their_limit_are_found() -> None:
    quota = LiveQuota(LimitsConfig(plugins=5))
    for i in range(4):
        topic = Topic("pi4", TopicKind.PLUGIN, f"p{i}")
        assert quota.refusal(topic, PluginState("running", "", NOW_MS, 0), NOW_MS) is None
    assert near(list(quota.uses())) == [QuotaUse("pi4", Reason.PLUGINS, 4, 5)]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (-2.5e6, "-2.5 MB")]
)
def test_bytes_are_told_in_the_unit_that_fits(count: float, text: str) -> None:
    assert size(count) == text


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Hub, str]]:
    """A hub with secrets of each kind, and the token of a node, which has sent something."""
    secret, addresses = tmp_path / "secret", tmp_path / "addresses"
    secret.write_text(PASSWORD)
    # Nobody listens there.
    addresses.write_text(f"json://user:{ADDRESS_SECRET}@127.0.0.1:9/{ADDRESS_SECRET}\n")
    for file in (secret, addresses):
        file.chmod(0o600)
    hub = Hub(tmp_path)
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    keys = {"web__password": secret, "notify__addresses_file": addresses}
    with hub.http, hub.running(**keys), hub.node("pi4", token) as node:
        assert hub.http.get("/api/support-bundle").status_code == 401
        hub.http.post("/login", data={"name": "operator", "password": PASSWORD})
        line = encode(log("it rains"))
        wait_until(lambda: node.publish_payload(Topic("pi4", TopicKind.LOG), line) is not None)
        wait_until(lambda: "it rains" in hub.http.get("/api/logs").text)
        yield hub, token


def test_the_support_bundle_has_no_secret(guarded: tuple[Hub, str]) -> None:
    hub, token = guarded
    answer = hub.http.get("/api/support-bundle")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        files = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert files.keys() == {
        *("hub.toml", "system.json", "nodes.json", "alarms.json", "log.txt", "doctor.txt")
    }
    assert 'node_id = "revpi"' in files["hub.toml"]
    assert "pi4 info host it rains" in files["log.txt"]
    assert '"node": "pi4"' in files["nodes.json"]
    assert "broker" in files["doctor.txt"]
    for name, text in files.items():
        for hidden in (PASSWORD, ADDRESS_SECRET, token, hub.http.cookies[COOKIE]):
            assert hidden not in text, name
    # The figures of the embedded broker.
    page = hub.http.get("/system").text
    assert "messages in, a second" in page
    assert hub.http.get("/api/system").json()["broker"]["clients"]["connected"] == 1
