"""Messages of discovery: entities of the shipped sensors in the shape that Home Assistant takes."""

import re
from typing import Any

import pytest

from hub_app.homeassistant import messages
from tests.hub_app.homeassistant.samples import SITE, decoded, node, plugin, sensor

TOPIC = re.compile(r"homeassistant/[a-z_]+/harvester_[a-zA-Z0-9_-]+/config\Z")


def of_sensor(sensor_id: str, **names: str) -> dict[str, dict[str, Any]]:
    return decoded(messages.sensor_messages(SITE, node(), sensor(sensor_id, **names)))


@pytest.mark.parametrize(
    ("sensor_id", "field", "expected"),
    [
        ("dht22-gpio4", "temperature", ("temperature", "°C", "measurement", None, 1)),
        ("dht22-gpio4", "humidity", ("humidity", "%", "measurement", None, 1)),
        ("bme680-0x77", "pressure", ("atmospheric_pressure", "hPa", "measurement", None, 1)),
        ("bme680-0x77", "gas_resistance", (None, "kΩ", "measurement", None, 1)),
        ("bme680-0x77", "iaq_accuracy", (None, None, "measurement", "diagnostic", None)),
        ("pi4-monitor", "cpu_temp", ("temperature", "°C", "measurement", "diagnostic", 1)),
        ("pi4-monitor", "cpu_usage", (None, "%", "measurement", "diagnostic", 0)),
        ("pi4-monitor", "memory_used_mb", ("data_size", "MB", "measurement", "diagnostic", 0)),
        ("ping-revpi", "rtt_ms", ("duration", "ms", "measurement", "diagnostic", 1)),
    ],
)
def test_a_value_has_the_class_and_the_unit_that_home_assistant_accepts(
    sensor_id: str, field: str, expected: tuple[object, ...]
) -> None:
    config = of_sensor(sensor_id)[f"homeassistant/sensor/harvester_pi4_{sensor_id}_{field}/config"]
    keys = ("device_class", "unit_of_measurement", "state_class", "entity_category")
    found = tuple(config.get(key) for key in (*keys, "suggested_display_precision"))
    assert found == expected
    assert config["state_topic"] == f"harvester/pi4/readings/{sensor_id}"
    assert config["availability"][0]["topic"] == "harvester/pi4/status"


def test_every_message_has_a_topic_a_device_and_an_origin_that_home_assistant_takes() -> None:
    found = of_sensor("dht22-gpio4") | decoded(
        {
            **messages.node_messages(SITE, node(leds=8, has_display=True)),
            **messages.plugin_messages(SITE, node(), plugin()),
        }
    )
    for topic, config in found.items():
        assert TOPIC.match(topic)
        assert config["device"]["identifiers"] == ["harvester_pi4"]
        assert config["device"]["via_device"] == "harvester_revpi"
        assert config["origin"]["name"] == "HARVESTER (revpi)"
        assert "object_id" not in config
