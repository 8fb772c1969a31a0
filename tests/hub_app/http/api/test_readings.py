"""The newest readings over HTTP."""

import msgspec

from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
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


def test_sensors_tell_their_descriptions(hub: HubProcess) -> None:
    described = description_of("dht22-gpio4", "Desk", "Office")
    hub.publish(Topic("r2", TopicKind.SENSOR, "dht22-gpio4"), described)
    until(hub, "/api/sensors", "r2:dht22-gpio4")
    assert {
        "sensor_id": "r2:dht22-gpio4",
        "description": msgspec.json.decode(encode(described)),
    } in hub.http.get("/api/sensors").json()["sensors"]


def test_the_reading_of_one_sensor_is_answered_alone(hub: HubProcess) -> None:
    hub.publish(*reading(node="r8"))
    hub.publish(*reading(node="r9"))
    until(hub, "/api/readings", "r9:dht22-gpio4")
    (found,) = hub.http.get("/api/readings?sensor=r8:dht22-gpio4").json()["readings"]
    assert found["sensor_id"] == "r8:dht22-gpio4"
    missing = hub.http.get("/api/readings?sensor=r8:attic")
    assert missing.status_code == 404
    assert "expected one of" in missing.json()["error"]
    assert "r9:dht22-gpio4" in missing.json()["error"]
