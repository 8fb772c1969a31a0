"""The view of broker and hub, and the support bundle."""

import contextlib
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import accounts
from broker.embedded.statistics import Gauges, Statistics
from bus.config.broker_table import BrokerConfig
from bus.config.limits_table import LimitsConfig
from bus.contract.messages import PluginState, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.schema import open_history
from hub_app.http.session_gate import COOKIE
from hub_app.http.views.system.redaction import redacted
from hub_app.http.views.system.report import broker_uses, near
from hub_app.http.views.system.view import certificate_end, size
from hub_app.quota.history import HistoryQuota, Wanted
from hub_app.quota.live import LiveQuota, QuotaUse
from hub_app.quota.refusals import Reason
from tests.hub_app.conftest import HubProcess
from tests.hub_app.samples import NOW_MS, log
from tests.hub_app.whole_hub import Hub
from tests.support import wait_until

PASSWORD = "correct horse battery"
ADDRESS_SECRET = "topicthatnobodyknows"
PLUGIN_SECRET = "whatonlythelockknows"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_history(tmp_path / "history.db")) as opened:
        yield opened


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
    # It forwards to nobody.
    assert found["homeassistant"] is None
    assert 'aria-labelledby="homeassistant-title" hidden>' in page
    assert "homeassistant" not in hub.http.get("/health").json()
    assert "harvester_homeassistant" not in hub.http.get("/metrics").text


def test_limits_of_the_broker_that_are_near_are_found() -> None:
    statistics = Statistics(BrokerConfig(retained_messages=10, retained_mb=1), 0.0)
    gauges = Gauges(connected=3, retained_messages=9, retained_bytes=2**20)
    assert near(list(broker_uses(statistics.snapshot(gauges, 1.0)))) == [
        QuotaUse("", "broker.retained_mb", 1, 1),
        QuotaUse("", "broker.retained_messages", 9, 10),
    ]


def test_places_of_the_history_that_are_near_their_limit_are_found(db: sqlite3.Connection) -> None:
    quota = HistoryQuota(db, LimitsConfig(streams=5, history_mb_per_day=1))
    for n in range(4):
        wanted = Wanted(
            "pi4", "room", is_new_stream=True, is_new_field_set=n == 0, data_bytes=250_000
        )
        assert quota.take(wanted, NOW_MS) is (Reason.HISTORY_MB if n == 3 else None)
    assert [(use.node, use.quota, use.used) for use in quota.uses()] == [
        ("pi4", "streams", 3),
        ("pi4", "field_sets", 1),
        ("pi4", "history_mb_per_day", 3 * 250_060 / 1e6),
    ]


@pytest.mark.parametrize(
    ("days", "text", "tone"),
    [(200, "200 days left", "good"), (29, "29 days left", "warm"), (-1, "over", "bad")],
)
def test_the_end_of_a_certificate_is_told_in_days(days: int, text: str, tone: str) -> None:
    told = certificate_end(NOW_MS + days * 86_400_000, NOW_MS)
    assert text in told
    assert f'data-tone="{tone}"' in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('password = "(set)"', 'password = "(hidden)"'),
        ('"api_key": "a \\" b", "x": 1', '"api_key": "(hidden)", "x": 1'),
        ("GET /events?token=abc&view=log", "GET /events?token=(hidden)&view=log"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer (hidden)"),
        ("mqtts://kim:p@ss@hub:8883 refused", "mqtts://(hidden)@hub:8883 refused"),
        ("ntfy://topic failed", "ntfy://(hidden) failed"),
        ("http://hub:3000/node/pi4", "http://hub:3000/node/pi4"),
        ("token: (none)", "token: (none)"),
        ("2 tokens: fine", "2 tokens: fine"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, expected: str) -> None:
    assert redacted(text) == expected


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
        line = encode(log(f"it rains; the lock at http://kim:{PLUGIN_SECRET}@lock/ says no"))
        wait_until(lambda: node.publish_payload(Topic("pi4", TopicKind.LOG), line) is not None)
        plugin = PluginState("running", "", NOW_MS, 0, settings={"api_key": PLUGIN_SECRET})
        node.publish_payload(Topic("pi4", TopicKind.PLUGIN, "lock"), encode(plugin))
        wait_until(lambda: PLUGIN_SECRET in hub.http.get("/api/nodes").text)
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
        for hidden in (PASSWORD, ADDRESS_SECRET, PLUGIN_SECRET, token, hub.http.cookies[COOKIE]):
            assert hidden not in text, name
    # The figures of the embedded broker.
    page = hub.http.get("/system").text
    assert "messages in, a second" in page
    # The node alone, once the broker has seen the doctor leave.
    path = "/api/system"
    wait_until(lambda: hub.http.get(path).json()["broker"]["clients"]["connected"] == 1)
