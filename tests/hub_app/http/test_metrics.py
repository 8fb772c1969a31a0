"""Metrics, parsed by the library of Prometheus and checked by its own tool."""

import asyncio
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from bus.contract.description import About, FieldDescription, SensorDescription
from bus.contract.messages import Costs, PluginCost, PluginState
from bus.contract.topics import Topic, TopicKind
from bus.install.version import VERSION
from hub_app.http.formats import sensor_metrics
from hub_app.http.formats.metric_names import RESERVED_WORDS
from hub_app.http.metrics import in_slices
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView
from tests import default_readings
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.samples import NOW_MS, heartbeat, reading, status
from tests.support import PROJECT, WAIT_S, program

Labels = tuple[tuple[str, str], ...]


def scraped(hub: HubProcess) -> dict[tuple[str, Labels], float]:
    answer = hub.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_every_number_of_the_state_is_a_metric(hub: HubProcess) -> None:
    hub.publish(Topic("m1", TopicKind.STATUS), status())
    hub.publish(Topic("m1", TopicKind.HEARTBEAT), heartbeat())
    hub.publish(*reading(node="m1", temperature=21.5))
    until(hub, "/metrics", 'node="m1",sensor="dht22-gpio4"')
    found = scraped(hub)
    node = ("node", "m1")
    assert found["harvester_node_up", (node,)] == 1.0
    assert found["harvester_node_resident_memory_bytes", (node,)] == 42.0 * 1024 * 1024
    field = (("field", "temperature"), node, ("sensor", "dht22-gpio4"))
    assert found["harvester_reading", field] == 21.5
    assert found["harvester_history_up", ()] == 1.0
    assert found["harvester_history_stored_readings_total", ()] >= 0.0


def test_the_cost_of_a_plugin_is_a_metric(hub: HubProcess) -> None:
    hub.publish(Topic("m7", TopicKind.STATUS), status())
    cost = PluginCost(20, 1, 240, 1.5, 4.0, 15.5)
    hub.publish(Topic("m7", TopicKind.COSTS), Costs({"dht22": cost}))
    until(hub, "/metrics", 'harvester_plugin_polls_total{node="m7"')
    found = scraped(hub)
    labels = (("node", "m7"), ("plugin", "dht22"))
    assert found["harvester_plugin_failed_polls_total", labels] == 1.0
    assert found["harvester_plugin_host_calls_total", labels] == 240.0
    assert found["harvester_plugin_memory_bytes", labels] == 15.5 * 1024 * 1024
    assert found["harvester_plugin_poll_p99_seconds", labels] == 0.004


def test_a_hub_without_nodes_has_metrics_of_its_own(hub: HubProcess) -> None:
    assert ("harvester_history_up", ()) in scraped(hub)


def test_the_series_of_a_silent_sensor_end_and_its_age_tells() -> None:
    state = State()
    state.apply(sensor_of("pi4", "s0"), described(), NOW_MS)
    state.apply(sensor_of("pi4", "s5000"), described(), NOW_MS)
    made = sensor_metrics.families(state, [entry(0), entry(5000)], NOW_MS + 6001)
    families = {family.name: family.samples for family in made}
    assert [sample.labels[1] for sample in families["harvester_x_volts"]] == ["s5000"]
    assert [sample.labels[1] for sample in families["harvester_reading"]] == ["s5000"]
    assert [sample.value for sample in families["harvester_sensor_up"]] == [0, 1]
    assert [sample.value for sample in families["harvester_sensor_age_seconds"]] == [6.001, 1.001]


def described() -> SensorDescription:
    return SensorDescription("p", "", "", 2.0, {"x": FieldDescription(unit="V")})


def entry(offset_ms: int) -> Change:
    name, at_ms = f"s{offset_ms}", NOW_MS + offset_ms
    view = ReadingView(f"pi4:{name}", at_ms, {"x": 1.0, "y": 2.0}, at_ms, 6000)
    return Change(f"harvester/pi4/readings/{name}", TopicKind.READING, "pi4", name, view)


def test_other_tasks_run_while_metrics_are_made() -> None:
    entries = [entry(n) for n in range(2000)]

    async def make() -> tuple[bytes, int]:
        rounds = 0

        async def count() -> None:
            nonlocal rounds
            while True:
                rounds += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        text = await in_slices([sensor_metrics.families(State(), entries, NOW_MS)])
        counting.cancel()
        return text, rounds

    text, rounds = asyncio.run(make())
    assert text.count(b"\nharvester_reading{") == 2 * 2000
    assert rounds >= 8000 / 200


def sensor_of(node: str, name: str) -> Topic:
    return Topic(node, TopicKind.SENSOR, name)


def labels(node: str, sensor: str, field: str, area: str) -> Labels:
    return (("area", area), ("field", field), ("node", node), ("sensor", sensor))


def test_a_described_value_is_under_its_quantity_in_its_base_unit(hub: HubProcess) -> None:
    hub.publish(Topic("m2", TopicKind.HEARTBEAT), heartbeat())
    hub.publish(sensor_of("m2", "dht22-a"), description_of("dht22-a", area="Office"))
    hub.publish(*reading(node="m2", sensor="dht22-a", temperature=21.5, humidity=43.7, other=1))
    until(hub, "/metrics", 'node="m2",sensor="dht22-a"')
    found = scraped(hub)
    temperature = labels("m2", "dht22-a", "temperature", "Office")
    assert found["harvester_temperature_celsius", temperature] == 21.5
    assert found["harvester_humidity_ratio", labels("m2", "dht22-a", "humidity", "Office")] == 0.437
    plain = (("field", "other"), ("node", "m2"), ("sensor", "dht22-a"))
    assert found["harvester_reading", plain] == 1.0
    assert ("harvester_reading", (("field", "humidity"), *plain[1:])) not in found


def test_a_sensor_without_an_area_is_where_its_node_is(hub: HubProcess) -> None:
    about = About("", "Cellar", "", "", "", "", {}, {})
    hub.publish(Topic("m3", TopicKind.ABOUT), about)
    hub.publish(Topic("m3", TopicKind.HEARTBEAT), heartbeat())
    hub.publish(sensor_of("m3", "dht22-a"), description_of("dht22-a"))
    hub.publish(*reading(node="m3", sensor="dht22-a", temperature=21.5))
    until(hub, "/metrics", 'area="Cellar"')


def test_a_plugin_that_failed_has_a_fault(hub: HubProcess) -> None:
    hub.publish(Topic("m4", TopicKind.STATUS), status())
    hub.publish(Topic("m4", TopicKind.PLUGIN, "dht22"), PluginState("failed", "", NOW_MS, 1, "x"))
    until(hub, "/metrics", 'node="m4",plugin="dht22"')
    assert scraped(hub)["harvester_plugin_failed", (("node", "m4"), ("plugin", "dht22"))] == 1.0


def test_the_hub_tells_its_version_and_commit(hub: HubProcess) -> None:
    builds = [labels for name, labels in scraped(hub) if name == "harvester_build_info"]
    assert [sorted(dict(build)) for build in builds] == [["commit", "version"]]
    assert dict(builds[0])["version"] == VERSION


def test_promtool_has_nothing_to_say(hub: HubProcess) -> None:
    sensors = {
        "dht22-a": default_readings.ROOM,
        "bme680-a": default_readings.AIR,
        "pi4-monitor": default_readings.HEALTH,
        "ping-hub": default_readings.PING,
    }
    hub.publish(Topic("m5", TopicKind.STATUS), status())
    hub.publish(Topic("m5", TopicKind.HEARTBEAT), heartbeat())
    cost = PluginCost(20, 1, 240, 1.5, 4.0, 15.5)
    hub.publish(Topic("m5", TopicKind.COSTS), Costs({"dht22": cost}))
    for name, data in sensors.items():
        hub.publish(sensor_of("m5", name), description_of(name))
        hub.publish(*reading(node="m5", sensor=name, **data))
    until(hub, "/metrics", 'node="m5",sensor="ping-hub"')
    text = hub.http.get("/metrics").content
    command = [program("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, check=False, timeout=WAIT_S)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_systems_metrics_begin_with_a_reserved_word_and_are_documented(hub: HubProcess) -> None:
    hub.publish(Topic("m6", TopicKind.STATUS), status())
    hub.publish(Topic("m6", TopicKind.HEARTBEAT), heartbeat())
    hub.publish(*reading(node="m6", x=1.0))
    until(hub, "/metrics", 'node="m6",sensor="dht22-gpio4"')
    own = {
        sample.name
        for family in text_string_to_metric_families(hub.http.get("/metrics").text)
        for sample in family.samples
        if "area" not in sample.labels
    }
    assert {name.split("_")[1] for name in own} <= RESERVED_WORDS
    document = (PROJECT / "docs" / "metrics.md").read_text()
    assert [name for name in own if name not in document] == []
