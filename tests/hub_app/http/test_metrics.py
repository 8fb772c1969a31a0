"""Metrics, parsed by the library of Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.nodes import until
from tests.hub_app.samples import heartbeat, reading, status

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
