"""Commands from Home Assistant's broker: what is passed on, and what is not."""

import json

import pytest

from bus.contract import commands
from hub_app.homeassistant.forward.commands import (
    BURST,
    MAX_BYTES,
    SECONDS_PER_COMMAND,
    ForeignCommands,
)

PARSERS = {
    "buzzer": commands.parse_buzzer,
    "fan": commands.parse_fan,
    "leds": commands.parse_leds,
    "names": commands.parse_names,
    "plugins": commands.parse_plugin,
}


@pytest.mark.parametrize(
    ("actuator", "payload"),
    [
        ("buzzer", b"beep3"),
        ("buzzer", b'"off"'),
        ("buzzer", b' {"count": 3, "duration_ms": 100, "id": "door-7"}'),
        ("fan", b"auto"),
        ("fan", b'{"mode": "on"}'),
        ("leds", b"off"),
        ("leds", b'{"index": 5, "color": "#FF8800"}'),
        ("names", b'{"title": "Cellar"}'),
        ("plugins", b'{"plugin": "dht22", "action": "disable"}'),
        ("plugins", b'{"plugin": "dht22", "action": "set", "settings": {"high_c": null}}'),
    ],
)
def test_a_command_means_the_same_and_has_an_id_of_the_forwarder(
    actuator: str, payload: bytes
) -> None:
    accepted = ForeignCommands("1234").accept(f"harvester/pi4/{actuator}/cmd", payload, 0.0)
    assert accepted is not None
    assert str(accepted.topic) == f"harvester/pi4/{actuator}/cmd"
    assert json.loads(accepted.payload)["id"] == "ha-1234-1"
    parse = PARSERS[actuator]
    before, after = (
        {key: getattr(found, key) for key in found.__struct_fields__ if key != "id"}
        for found in (parse(payload), parse(accepted.payload))
    )
    assert before == after


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("harvester/pi4/buzzer/cmd", b"siren"),
        ("harvester/pi4/buzzer/cmd", b""),
        ("harvester/pi4/buzzer/cmd", b"[" * 50_000),
        ("harvester/pi4/buzzer/cmd", b"\xff\xfe"),
        ("harvester/pi4/fan/cmd", b'{"mode": "on"}' + b" " * MAX_BYTES),
        ("harvester/pi4/leds/cmd", b'{"index": -1, "color": "#ff8800"}'),
        ("harvester/pi4/plugins/cmd", b"reload"),
        ("harvester/pi4/names/cmd", b"{}"),
        ("harvester/pi4/rocket/cmd", b"on"),
        ("harvester/PI4/buzzer/cmd", b"beep"),
        ("harvester/pi4/status", b"{}"),
        ("harvester/pi4/readings/cmd/x", b"beep"),
        ("elsewhere/pi4/buzzer/cmd", b"beep"),
    ],
)
def test_anything_else_is_refused_and_counted(topic: str, payload: bytes) -> None:
    found = ForeignCommands("1234")
    assert found.accept(topic, payload, 0.0) is None
    assert (found.accepted, found.refused, found.echoes) == (0, 1, 0)


def test_a_command_that_comes_back_is_an_echo() -> None:
    found = ForeignCommands("1234")
    topic = "harvester/pi4/buzzer/cmd"
    accepted = found.accept(topic, b"beep", 0.0)
    assert accepted is not None
    assert found.accept(topic, accepted.payload, 0.0) is None
    assert (found.accepted, found.refused, found.echoes) == (1, 0, 1)
    assert ForeignCommands("5678").accept(topic, accepted.payload, 0.0) is not None


def test_a_flood_is_bounded_and_a_person_gets_through_afterwards() -> None:
    found = ForeignCommands("1234")
    topic = "harvester/pi4/fan/cmd"
    for _ in range(BURST + 50):
        found.accept(topic, b"on", 0.0)
    assert (found.accepted, found.refused) == (BURST, 50)
    assert found.accept(topic, b"off", 2 * SECONDS_PER_COMMAND) is not None
