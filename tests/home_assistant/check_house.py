"""Everything that Home Assistant has and does, in the order in which a person would try it.

The checks of one house follow one another: the last ones kill programs and remove nodes.
"""

import time
from typing import Any

from tests.home_assistant.conftest import House
from tests.support import wait_until

# The issue's own figure, for a will on a broker that is near.
GONE_WITHIN_S = 3.0
# Nothing was pressed yet, nothing happened, or a value waits for another one.
WITHOUT_STATE = ("button", "event", "image", "scene")
TEMPERATURE = "sensor.pi4_dht22_gpio4_temperature"
PNG = b"\x89PNG\r\n"


def named(house: House) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the states of Home Assistant by domain and name."""
    states = house.home.states()
    return {
        (entity_id.partition(".")[0], state["attributes"].get("friendly_name", "")): state
        for entity_id, state in states.items()
    }


def test_every_entity_is_there_with_state_unit_and_class(house: House) -> None:
    wanted = house.broker.entities()
    wait_until(lambda: wanted.keys() <= named(house).keys())
    found = named(house)
    assert len(wanted) > 150
    for key, config in wanted.items():
        attributes = found[key]["attributes"]
        for name in ("unit_of_measurement", "device_class", "state_class"):
            if key[0] == "sensor":
                assert attributes.get(name) == config.get(name), (key, name)
        assert found[key]["state"] != "unavailable", key
    unknown = {key[1] for key in wanted if found[key]["state"] == "unknown"}
    unknown -= {key[1] for key in wanted if key[0] in WITHOUT_STATE}
    # The air quality is not valid yet, or a value is outside what can be measured, or never came.
    assert all("Air quality" in name for name in unknown if "Attic Box" not in name), unknown
    assert {name for name in unknown if "Attic Box" in name} == {
        "Attic Box Limited",
        "Attic Box Never measured",
    }


def test_values_of_an_own_plugin_have_the_class_that_this_version_knows(house: House) -> None:
    def of(name: str) -> tuple[object, ...]:
        state = house.home.state(name)
        keys = ("device_class", "unit_of_measurement", "state_class")
        return (*(state["attributes"].get(key) for key in keys),)

    assert of("sensor.attic_box_dust") == ("pm25", "µg/m³", "measurement")
    assert of("sensor.attic_box_energy") == ("energy", "kWh", "total_increasing")
    assert of("sensor.attic_box_warmth") == (None, "degC", "measurement")
    assert of("sensor.attic_box_cost") == (None, "EUR", "measurement")
    assert house.home.state("binary_sensor.attic_box_window")["state"] == "on"
    assert house.home.state("sensor.attic_box_mode")["state"] == "boost"
    assert len(house.home.state("sensor.attic_box_note")["state"]) == 255
    assert house.home.state("sensor.attic_box_odd_name")["state"] == "1.25"
    assert house.home.state("sensor.attic_box_number_of_items")["state"] == "4"


def test_devices_have_the_areas_of_names(house: House) -> None:
    def area(entity: str) -> str:
        return house.home.render(f"{{{{ area_name('{entity}') }}}}")

    assert area("sensor.attic_box_dust") == "Garden"
    assert area("binary_sensor.attic_online") == "Roof"


def test_a_display_is_a_picture(house: House) -> None:
    display = "image.pi4_display"
    house.home.wait(display, lambda found: "entity_picture" in found["attributes"])
    wait_until(lambda: house.home.picture(display).startswith(PNG))


def test_the_fan_takes_on_off_and_auto(house: House) -> None:
    home = house.home
    home.call("fan.turn_on", "fan.pi4_fan")
    home.wait("fan.pi4_fan", "on")
    home.call("fan.turn_off", "fan.pi4_fan")
    home.wait("fan.pi4_fan", "off")
    assert home.state("fan.pi4_fan")["attributes"]["preset_mode"] is None
    home.call("fan.set_preset_mode", "fan.pi4_fan", preset_mode="auto")
    home.wait("fan.pi4_fan", lambda found: found["attributes"]["preset_mode"] == "auto")


def test_the_buzzer_sounds_by_button_and_as_a_siren(house: House) -> None:
    heard = house.broker.heard
    house.home.call("button.press", "button.pi4_beep_three_times")
    wait_until(lambda: any(b'"beep3"' in said for _, said in heard))
    before = len(heard)
    house.home.call("siren.turn_on", "siren.pi4_buzzer", tone="beep3")
    wait_until(lambda: any(b'"beep3"' in said for _, said in heard[before:]))
    house.home.call("siren.turn_on", "siren.pi4_buzzer")
    house.home.wait("siren.pi4_buzzer", "on")
    house.home.call("siren.turn_off", "siren.pi4_buzzer")
    house.home.wait("siren.pi4_buzzer", "off")


def test_brightness_alone_keeps_the_colour_of_an_led(house: House) -> None:
    home, light = house.home, "light.pi4_led_5"
    home.call("light.turn_on", light, rgb_color=[255, 128, 0])
    home.wait(light, lambda found: found["attributes"].get("rgb_color") == [255, 128, 0])
    home.call("light.turn_on", light, brightness=100)
    home.wait(light, lambda found: found["attributes"].get("brightness") == 100)
    red, green, blue = home.state(light)["attributes"]["rgb_color"]
    assert red == 255
    assert abs(green - 128) <= 3
    assert blue <= 3
    home.call("light.turn_on", light, rgb_color=[0, 0, 255])
    home.wait(light, lambda found: found["attributes"].get("rgb_color") == [0, 0, 255])
    assert home.state(light)["attributes"]["brightness"] == 100
    home.call("light.turn_off", light)
    home.wait(light, "off")


def test_a_plugin_is_switched_off_and_on(house: House) -> None:
    home, switch = house.home, "switch.pi4_plugin_dht22"
    home.call("switch.turn_off", switch)
    home.wait(switch, "off")
    home.wait("sensor.pi4_plugin_dht22_state", "disabled")
    home.wait(TEMPERATURE, "unavailable")
    home.call("switch.turn_on", switch)
    home.wait("sensor.pi4_plugin_dht22_state", "running")
    home.wait(TEMPERATURE, is_number)


def test_every_kind_of_setting_is_set(house: House) -> None:
    home = house.home
    home.call("number.set_value", "number.pi4_dht22_high_from", value=28.5)
    home.wait("number.pi4_dht22_high_from", "28.5")
    home.call("switch.turn_off", "switch.pi4_dht22_buzzer_when_high")
    home.wait("switch.pi4_dht22_buzzer_when_high", "off")
    home.call("select.select_option", "select.pi4_oled_controller", option="SH1106")
    home.wait("select.pi4_oled_controller", "SH1106")
    home.call("text.set_value", "text.pi4_oled_title", value='A "b" {{ c }} \u00fc\u2713')
    home.wait("text.pi4_oled_title", 'A "b" {{ c }} \u00fc\u2713')


def test_every_setting_of_an_own_plugin_arrives_as_it_was_given(house: House) -> None:
    home, commands = house.home, house.attic.commands
    home.call("number.set_value", "number.attic_box_level", value=7.5)
    home.wait("number.attic_box_level", "7.5")
    home.call("number.set_value", "number.attic_box_count", value=4)
    home.wait("number.attic_box_count", "4")
    home.call("number.set_value", "number.attic_box_shed_count", value=-2)
    home.wait("number.attic_box_shed_count", lambda found: float(found["state"]) == -2)
    home.call("select.select_option", "select.attic_box_mode", option="it's {% c %}")
    home.wait("select.attic_box_mode", "it's {% c %}")
    home.call("switch.turn_on", "switch.attic_box_loud")
    home.wait("switch.attic_box_loud", "on")
    given = [(command.sensor, command.settings) for command in commands]
    assert given == [
        (None, {"level": 7.5}),
        (None, {"count": 4}),
        ("shed", {"count": -2}),
        (None, {"mode": "it's {% c %}"}),
        (None, {"loud": True}),
    ]
    assert isinstance(given[1][1]["count"], int)


def test_an_event_arrives_and_its_entity_outlives_a_new_kind_of_event(house: House) -> None:
    home, bell = house.home, "event.attic_box_event"
    # The first one of its kind makes the entity, which hears the next ones.
    for name in ("pressed", "held"):
        wait_until(lambda name=name: rings(house, bell, name))  # type: ignore[misc]
    attributes = home.state(bell)["attributes"]
    assert attributes["event_types"] == ["pressed", "held"]
    assert attributes["data"] == {"count": 2}


def test_a_renamed_sensor_keeps_its_entity(house: House) -> None:
    answer = house.system.http.post(
        "/api/names", json={"node": "pi4", "sensor": "dht22-gpio4", "title": "Living room"}
    )
    assert answer.is_success, answer.text
    house.home.wait(
        TEMPERATURE,
        lambda found: found["attributes"]["friendly_name"] == "pi4 Living room Temperature",
    )


def test_a_new_field_is_there_and_a_fault_is_told(house: House) -> None:
    house.attic.add_field("extra", {"label": "Extra", "unit": "V", "quantity": "voltage"})
    house.home.wait("sensor.attic_box_extra", "unknown")
    fault = "binary_sensor.attic_box_fault"
    house.home.wait(fault, "on")
    assert house.home.state(fault)["attributes"]["reason"]
    house.home.wait("binary_sensor.pi4_living_room_fault", "(none)")
    house.home.wait("binary_sensor.pi4_dht22_gpio4_fault", "off")


def test_an_alarm_begins_and_ends_and_goes_with_its_rule(house: House) -> None:
    rule = {"name": "too-warm", "field": "temperature", "node": "pi4", "above": -100.0}
    path, alarm = "/api/alarms/rules", "binary_sensor.pi4_alarm_too_warm_living_room_temperature"
    assert house.system.http.post(path, json=rule).is_success
    house.home.wait(alarm, "on")
    attributes = house.home.state(alarm)["attributes"]
    assert attributes["severity"] == "warning"
    assert "above" in attributes["text"]
    assert house.system.http.post(path, json={**rule, "above": 100.0}).is_success
    house.home.wait(alarm, "off")
    assert house.system.http.delete(f"{path}/too-warm").is_success
    house.home.wait(alarm, "(none)")


def test_everything_of_a_killed_agent_is_unavailable_and_comes_back(house: House) -> None:
    house.system.kill("node-agent", "spoke.toml")
    assert house.home.wait(TEMPERATURE, "unavailable") < GONE_WITHIN_S
    house.home.wait("fan.pi4_fan", "unavailable")
    assert house.home.state("binary_sensor.pi4_online")["state"] == "off"
    house.home.wait(TEMPERATURE, is_number)
    house.home.wait("binary_sensor.pi4_online", "on")


def test_everything_of_a_killed_hub_is_unavailable_and_comes_back(house: House) -> None:
    before = available(house)
    house.system.kill("hub-app", "hub.toml")
    assert house.home.wait(TEMPERATURE, "unavailable") < GONE_WITHIN_S
    wait_until(lambda: not available(house))
    house.home.wait(TEMPERATURE, is_number)
    wait_until(lambda: before <= available(house))


def test_everything_is_back_after_a_restart_of_home_assistant(house: House) -> None:
    before = available(house)
    house.home.stop()
    house.home.start()
    wait_until(lambda: before <= available(house))
    house.home.wait(TEMPERATURE, is_number)


def test_a_removed_sensor_and_a_removed_node_leave_nothing(house: House) -> None:
    house.attic.remove_sensor()
    wait_until(lambda: not [name for name in house.home.states() if "attic_box_dust" in name])
    wait_until(lambda: not house.broker.named("harvester_attic_box_dust"))
    for node in ("attic", "pizero"):
        answer = house.system.http.post(f"/api/nodes/{node}/remove", json={"history": False})
        assert answer.is_success, answer.text
        wait_until(lambda node=node: not house.broker.named(f"harvester_{node}"))  # type: ignore[misc]
        wait_until(
            lambda node=node: (
                not [  # type: ignore[misc]
                    name for name in house.home.states() if f".{node}_" in name
                ]
            )
        )


def test_the_log_of_home_assistant_has_nothing_against_us(house: House) -> None:
    # It loses its connection when the hub is killed, and says so.
    of_connection: tuple[str, ...] = (
        "Failed to connect to MQTT server",
        "Disconnected from MQTT server",
        "Error returned from MQTT server",
    )
    of_connection = () if house.way.has_own_broker else of_connection
    complaints = house.home.complaints
    assert [line for line in complaints if not any(told in line for told in of_connection)] == []


def rings(house: House, bell: str, name: str) -> bool:
    """Let an event happen; return whether the last one of its kind has arrived."""
    house.attic.ring(name)
    time.sleep(0.5)
    return house.home.state(bell)["attributes"].get("event_type") == name


def is_number(found: dict[str, Any]) -> bool:
    try:
        float(found["state"])
    except ValueError:
        return False
    return True


def available(house: House) -> set[str]:
    """Return the entities of ours that are available."""
    return {
        name
        for name, state in house.home.states().items()
        if state["state"] != "unavailable" and not name.startswith(("zone.", "event."))
    }
