"""Metrics, parsed by the library of Prometheus."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from bus.contract.topics import Topic, TopicKind
from hub_app.http.metrics import _readings, in_slices
from hub_app.live.change import Change
from hub_app.live.state import ReadingView
from tests.hub_app.conftest import HubProcess
from tests.hub_app.nodes import until
from tests.hub_app.samples import NOW_MS, heartbeat, reading, status

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


def test_a_hub_without_nodes_has_metrics_of_its_own(hub: HubProcess) -> None:
    assert ("harvester_history_up", ()) in scraped(hub)


def test_the_series_of_a_silent_sensor_end_and_its_age_tells() -> None:
    families = {
        family.name: family.samples for family in _readings([entry(0), entry(5000)], NOW_MS + 6001)
    }
    assert [sample.labels[1] for sample in families["harvester_reading"]] == ["s5000"]
    assert [sample.value for sample in families["harvester_sensor_up"]] == [0, 1]
    assert [sample.value for sample in families["harvester_sensor_age_seconds"]] == [6.001, 1.001]


def entry(offset_ms: int) -> Change:
    name, at_ms = f"s{offset_ms}", NOW_MS + offset_ms
    view = ReadingView(f"pi4:{name}", at_ms, {"x": 1.0}, at_ms, 6000)
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
        text = await in_slices([_readings(entries, NOW_MS + 2000)])
        counting.cancel()
        return text, rounds

    text, rounds = asyncio.run(make())
    assert text.count(b"\nharvester_reading{") == 2000
    assert rounds >= 8000 / 200
