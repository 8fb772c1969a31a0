"""The Grafana dashboard and the Prometheus configuration in deploy/ fit what the hub answers."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.auth import accounts
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.topics import Topic, TopicKind
from tests import default_readings
from tests.default_descriptions import description_of
from tests.hub_app.samples import heartbeat, reading
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import PROJECT, WAIT_S, program, wait_until

DEPLOY = PROJECT / "deploy"
GRAFANA = DEPLOY / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "harvester.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES = [it["query"]["query"] for it in DASHBOARD["templating"]["list"] if it["type"] == "query"]
SENSORS = {
    "dht22-gpio4": default_readings.ROOM,
    "bme680-77": default_readings.AIR,
    "pi4-monitor": default_readings.HEALTH,
}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The names of all metrics of a hub with its own broker and the shipped sensors."""
    hub = Hub(tmp_path_factory.mktemp("grafana"))
    token = accounts.enroll(hub.state / ACCOUNTS_NAME, "pi4")
    with hub.running(), hub.node("pi4", token) as node:
        node.publish(Topic("pi4", TopicKind.STATUS), status("online"))
        node.publish(Topic("pi4", TopicKind.HEARTBEAT), heartbeat(NOW_MS))
        for name, data in SENSORS.items():
            node.publish(Topic("pi4", TopicKind.SENSOR, name), description_of(name))
            node.publish(*reading(NOW_MS, sensor=name, **data))
        wait_until(lambda: "harvester_iaq_score{" in hub.http.get("/metrics").text)
        text = hub.http.get("/metrics").text
        yield set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    hub.http.close()


def test_every_metric_of_the_dashboard_is_one_of_the_hub(metrics: set[str]) -> None:
    assert EXPRESSIONS
    named = set(re.findall(r"\bharvester_\w+", " ".join([*EXPRESSIONS, *QUERIES])))
    assert named - metrics == set()


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    variables = {"$__rate_interval": "1m", "$node": ".*", "$area": ".*"}
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    plain = [re.sub(r"\$\w+", lambda found: variables[found[0]], it) for it in EXPRESSIONS]
    for i, expression in enumerate(plain):
        lines += [f"      - record: expression:{i}", f"        expr: {json.dumps(expression)}"]
    file = tmp_path / "rules.yml"
    file.write_text("\n".join(lines) + "\n")
    check("rules", file)


def test_prometheus_accepts_the_configuration() -> None:
    check("config", DEPLOY / "prometheus.yml")


def check(kind: str, file: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "check", kind, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (place["x"] + dx, place["y"] + dy)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for dx in range(place["w"])
        for dy in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_names_the_data_source_that_is_provisioned() -> None:
    chosen = DASHBOARD["templating"]["list"][0]["current"]["value"]
    source = GRAFANA / "provisioning" / "datasources" / "harvester.yml"
    assert f"uid: {chosen}\n" in source.read_text(encoding="utf-8")
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
