"""Messages of discovery: entities of the shipped sensors in the shape that Home Assistant takes."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.description import FieldDescription, SensorDescription, SettingDescription
from bus.contract.messages import PluginState
from bus.contract.quantity import QUANTITIES
from hub_app.homeassistant import messages
from hub_app.homeassistant.device_classes import BINARY_SENSORS
from hub_app.homeassistant.facts import PluginFacts, SensorFacts
from hub_app.homeassistant.site import Availability
from tests.hub_app.homeassistant.samples import (
    SITE,
    about,
    decoded,
    described,
    node,
    plugin,
    sensor,
)

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


def test_a_value_expires_after_three_cycles_and_guards_what_cannot_be() -> None:
    found = of_sensor("dht22-gpio4")[
        "homeassistant/sensor/harvester_pi4_dht22-gpio4_humidity/config"
    ]
    assert found["expire_after"] == 6
    assert "v >= 0 and v <= 100" in found["value_template"]
    slow = of_sensor("ping-revpi")["homeassistant/binary_sensor/harvester_pi4_ping-revpi_up/config"]
    assert slow["expire_after"] == 30
    assert slow["device_class"] == "connectivity"


def test_a_value_that_waits_for_another_is_unknown_until_then() -> None:
    found = of_sensor("bme680-0x77")
    score = found["homeassistant/sensor/harvester_pi4_bme680-0x77_iaq_score/config"]
    assert "'iaq_accuracy'" in score["value_template"]
    assert "if ready" in score["value_template"]


def test_numbers_of_a_plugin_are_states_where_its_description_says_so() -> None:
    """A plugin gives numbers alone."""
    fields = {
        "mode": {"quantity": "enum", "words": ["off", "eco"]},
        "leak": {"quantity": "moisture", "words": ["dry", "wet"]},
        "door": {"quantity": "door"},
        "soil": {"quantity": "moisture", "unit": "%"},
        "battery": {"quantity": "battery", "unit": "%", "words": ["empty"]},
    }
    facts = SensorFacts("pond", described(fields), kinds=dict.fromkeys(fields, "number"))
    found = {
        topic.split("pond_")[1].removesuffix("/config"): (topic.split("/")[1], config)
        for topic, config in decoded(messages.sensor_messages(SITE, node(), facts)).items()
        if "pond_" in topic
    }
    assert {
        name: (component, config.get("device_class"))
        for name, (component, config) in found.items()
        if name in fields
    } == {
        "mode": ("sensor", "enum"),
        "leak": ("binary_sensor", "moisture"),
        "door": ("binary_sensor", "door"),
        "soil": ("sensor", "moisture"),
        "battery": ("sensor", "battery"),
    }
    assert found["mode"][1]["options"] == ["off", "eco", "unknown"]
    assert "['off', 'eco'][v | int]" in found["mode"][1]["value_template"]


def test_an_uptime_is_told_in_whole_minutes() -> None:
    found = of_sensor("pi4-monitor")
    uptime = found["homeassistant/sensor/harvester_pi4_pi4-monitor_uptime_seconds/config"]
    assert "{{ v // 60 * 60 if" in uptime["value_template"]
    assert (uptime["device_class"], uptime["unit_of_measurement"]) == ("duration", "s")


def test_nothing_is_published_disabled() -> None:
    """Home Assistant empties a whole device where a disabled entity of it is removed."""
    of_node = messages.node_messages(SITE, node(leds=20))
    found = of_sensor("pi4-monitor") | decoded(of_node)
    assert not [config for config in found.values() if "enabled_by_default" in config]
    assert sum(topic.component == "light" for topic in of_node) == 16


def test_every_output_of_a_node_has_its_entities() -> None:
    found = decoded(messages.node_messages(SITE, node(leds=2, has_display=True)))
    components = sorted(topic.split("/")[1] for topic in found)
    assert components == sorted(
        ["binary_sensor", "sensor", "fan", "siren", *["button"] * 3, *["light"] * 2, "image"]
    )
    fan = found["homeassistant/fan/harvester_pi4__fan/config"]
    assert fan["preset_modes"] == ["auto"]
    display = found["homeassistant/image/harvester_pi4__display/config"]
    assert display["image_topic"] == "homeassistant/image/harvester_pi4/state"
    for config in found.values():
        assert config.get("retain", False) is False


def test_a_node_without_outputs_has_its_presence_alone() -> None:
    found = decoded(messages.node_messages(SITE, node(about=about(actuators={}))))
    assert {config["name"] for config in found.values()} == {"Online", "Started"}


def test_a_renamed_sensor_keeps_its_ids_and_its_area_makes_it_a_device() -> None:
    before, after = of_sensor("dht22-gpio4"), of_sensor("dht22-gpio4", title="Desk", area="Office")
    assert before.keys() == after.keys()
    topic = "homeassistant/sensor/harvester_pi4_dht22-gpio4_temperature/config"
    assert before[topic]["name"] == "dht22-gpio4 Temperature"
    assert after[topic]["name"] == "Temperature"
    assert after[topic]["unique_id"] == before[topic]["unique_id"]
    device = after[topic]["device"]
    assert device["suggested_area"] == "Office"
    assert device["name"] == "pi4 Desk"
    assert device["via_device"] == "harvester_pi4"


def test_a_forwarder_is_among_the_availability_of_everything() -> None:
    bridge = Availability("harvester/revpi/forwarder")
    site = msgspec.structs.replace(SITE, availability=(bridge,))
    found = decoded(messages.node_messages(site, node(leds=1)))
    for config in found.values():
        assert bridge.topic in [one["topic"] for one in config["availability"]]
        assert all(one["payload_available"] == "online" for one in config["availability"])
        assert config["availability_mode"] == "all"


@pytest.mark.parametrize(
    ("said", "component", "expected"),
    [
        (
            {"type": "number", "default": 2.5, "min": 0, "max": 10, "unit": "%RH"},
            "number",
            {"min": 0, "max": 10, "step": 0.1, "unit_of_measurement": "%"},
        ),
        (
            {"type": "number", "default": 0.25},
            "number",
            {"min": -1e9, "max": 1e9, "step": 0.01},
        ),
        (
            {"type": "integer", "default": 3, "min": -5, "max": 5},
            "number",
            {"min": -5, "max": 5, "step": 1},
        ),
        (
            {"type": "choice", "default": "a", "choices": ["a", "a", "none", " ", "b c"]},
            "select",
            {"options": ["a", "b c"]},
        ),
        (
            {"type": "switch", "default": True},
            "switch",
            {"payload_on": '{"plugin":"dht22","action":"set","settings":{"key":true}}'},
        ),
        ({"type": "text", "default": ""}, "text", {}),
    ],
)
def test_a_setting_is_an_entity_of_its_type(
    said: dict[str, Any], component: str, expected: dict[str, Any]
) -> None:
    found = decoded(messages.plugin_messages(SITE, node(), plugin(settings={"key": said})))
    config = found[f"homeassistant/{component}/harvester_pi4__setting_dht22_key/config"]
    assert expected.items() <= config.items()
    assert config["entity_category"] == "config"
    assert config["command_topic"] == "harvester/pi4/plugins/cmd"


@pytest.mark.parametrize(
    "said",
    [
        {"type": "number", "default": 1.0, "min": 5, "max": 5},
        {"type": "choice", "default": "none", "choices": ["none"]},
    ],
)
def test_a_setting_that_home_assistant_cannot_hold_is_left_out(said: dict[str, Any]) -> None:
    found = messages.plugin_messages(SITE, node(), plugin(settings={"key": said}))
    assert not [topic for topic in found if "setting" in topic.object_id]


def test_each_of_several_sensors_has_its_own_settings() -> None:
    said = {"type": "number", "default": 1.0, "scope": "sensor"}
    one = messages.plugin_messages(SITE, node(), plugin(settings={"k": said}, sensors={"a": {}}))
    two = messages.plugin_messages(
        SITE, node(), plugin(settings={"k": said}, sensors={"a": {}, "b": {"k": 2.0}})
    )
    assert one.keys() < two.keys()
    assert {topic.object_id for topic in two.keys() - one.keys()} == {
        "harvester_pi4__sensor-setting_dht22_a_k",
        "harvester_pi4__sensor-setting_dht22_b_k",
    }


def test_a_plugin_tells_an_update_where_another_node_has_a_newer_version() -> None:
    facts = msgspec.structs.replace(plugin(version="1.0.0"), latest="1.2.0")
    found = decoded(messages.plugin_messages(SITE, node(), facts))
    update = found["homeassistant/update/harvester_pi4__plugin-version_dht22/config"]
    assert "'latest_version': '1.2.0'" in update["value_template"]


def test_the_device_form_has_one_message_for_each_group_with_the_same_entities() -> None:
    whole = msgspec.structs.replace(SITE, form="device")
    single = of_sensor("dht22-gpio4")
    (message,) = decoded(messages.sensor_messages(whole, node(), sensor("dht22-gpio4"))).values()
    assert message["device"]["identifiers"] == ["harvester_pi4"]
    assert set(message["components"]) == {config["unique_id"] for config in single.values()}
    for topic, config in single.items():
        part = message["components"][config["unique_id"]]
        assert part["platform"] == topic.split("/")[1]
        assert part["value_template"] == config["value_template"]


FIELD_NAMES = st.text(min_size=1, max_size=64) | st.sampled_from(("items", "{{ v }}", "a'b"))
WORDS = st.text(max_size=12)
NUMBERS = st.integers(-100, 100) | st.floats(-100, 100)
any_field = st.builds(
    FieldDescription,
    label=WORDS,
    unit=WORDS | st.sampled_from(("lx", "%RH", "\u00b0C")),
    quantity=WORDS | st.sampled_from(sorted(QUANTITIES)),
    decimals=st.none() | st.integers(0, 6),
    range=st.none() | st.tuples(NUMBERS, NUMBERS),
    words=st.lists(WORDS, max_size=3),
    bar=st.none() | NUMBERS | FIELD_NAMES,
    pending=st.none() | FIELD_NAMES,
    duration=st.booleans(),
)
any_setting = st.builds(
    SettingDescription,
    type=st.sampled_from(("number", "integer", "text", "choice", "switch")),
    default=NUMBERS | WORDS | st.booleans(),
    label=WORDS,
    unit=WORDS,
    min=st.none() | NUMBERS,
    max=st.none() | NUMBERS,
    choices=st.lists(WORDS, max_size=4),
    scope=st.sampled_from(("plugin", "sensor")),
)


@given(st.dictionaries(FIELD_NAMES, any_field, max_size=4), st.sampled_from(("", "A", "it's")))
def test_any_description_makes_messages_that_home_assistant_can_read(
    fields: dict[str, FieldDescription], area: str
) -> None:
    said = SensorDescription("p", "T{{", area, 2.0, fields)
    check_all(messages.sensor_messages(SITE, node(), SensorFacts("box", said, events=("a", "'"))))


@given(st.dictionaries(FIELD_NAMES, any_setting, max_size=4), st.integers(0, 3))
def test_any_setting_makes_messages_that_home_assistant_can_read(
    settings: dict[str, SettingDescription], count: int
) -> None:
    state = PluginState(
        *("running", "", 1, 0), described=settings, sensors={f"s{n}": {} for n in range(count)}
    )
    check_all(messages.plugin_messages(SITE, node(), PluginFacts("p", state)))


def check_all(made: messages.Messages) -> None:
    found = decoded(made)
    ids = [config["unique_id"] for config in found.values()]
    assert len(ids) == len(set(ids))
    for topic, config in found.items():
        assert TOPIC.match(topic)
        check_one(topic.split("/")[1], config)


def check_one(component: str, config: dict[str, Any]) -> None:
    """Check what Home Assistant refuses, or warns of."""
    assert config["name"]
    if component == "sensor":
        is_enum = config.get("device_class") == "enum"
        assert ("options" in config) == is_enum
        assert not (is_enum and {"unit_of_measurement", "state_class"} & config.keys())
    if component == "number":
        assert config["min"] < config["max"]
        assert config["step"] >= 0.001
    if component == "select":
        assert config["options"]
        assert len(config["options"]) == len(set(config["options"]))
    if component == "binary_sensor" and "device_class" in config:
        assert config["device_class"] in BINARY_SENSORS
