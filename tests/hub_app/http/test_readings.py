"""The newest readings over HTTP."""

from tests.hub_app.conftest import HubProcess
from tests.hub_app.nodes import until
from tests.hub_app.samples import NOW_MS, reading


def test_readings_tell_sensor_time_and_data(hub: HubProcess) -> None:
    hub.publish(*reading(node="r1", temperature=21.5))
    until(hub, "/api/readings", "r1:dht22-gpio4")
    answer = hub.http.get("/api/readings").json()
    assert {
        "sensor_id": "r1:dht22-gpio4",
        "timestamp_ms": NOW_MS,
        "data": {"temperature": 21.5},
    } in answer["readings"]
    assert answer["last_update"] > NOW_MS
