"""A bell's button on GPIO 17 and its lamp on GPIO 22.

Where the state has `calls`, a JSON list of [interface, function, arguments ...], those are made
instead, and what came of each is printed.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import (
    events,
    fan_controller,
    gpio,
    gpio_provider,
    plugin_state,
    readings,
)

BUTTON, LAMP = 17, 22
INTERFACES = {
    "gpio": gpio,
    "events": events,
    "readings": readings,
    "fan_controller": fan_controller,
}


def answer(interface: str, function: str, *arguments: object) -> object:
    try:
        return getattr(INTERFACES[interface], function)(*arguments)
    except Err as e:
        return {"err": e.value}


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        calls = json.loads(plugin_state.get("calls") or "null")
        if calls is not None:
            print(json.dumps([answer(*call) for call in calls]))
            return []
        gpio.set_input(BUTTON, "up", "falling", 20)
        presses = gpio.take_edges(BUTTON)
        gpio.write(LAMP, presses > 0)
        if presses:
            events.publish("bell", "pressed", json.dumps({"count": presses}))
        return [Reading("bell", gpio_provider.get_timestamp_ms(), [("presses", presses)])]
