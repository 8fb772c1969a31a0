"""Grant of one plugin: the hardware, readings and events that it may use."""

from typing import Annotated, Literal

import msgspec

from bus.config.key_types import I2cAddress, LedIndex, Pin, Table

_NAME = "[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?"
_ALL = "*"
# A sensor of any node, all sensors of a node, or all that there are.
ReadingPattern = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(\*|{_NAME}:({_NAME}|\*))\Z",
        extra_json_schema={
            "description": '"NODE:SENSOR", "NODE:*" for all sensors of a node, or "*" for all'
        },
    ),
]


class Output(Table, frozen=True):
    """A pin that a plugin may drive, and the level that it has while the plugin does not run."""

    pin: Pin
    safe: Literal["low", "high"]

    @property
    def is_safe_high(self) -> bool:
        return self.safe == "high"


class Grant(Table, frozen=True):
    """What one plugin may use. The default is nothing.

    `gpio` are pins that carry a DHT22; `inputs` and `outputs` are digital pins of its own.
    `readings` are those of other sensors, on any node.
    """

    gpio: list[Pin] = []
    leds: list[LedIndex] = []
    i2c: list[I2cAddress] = []
    buzzer: bool = False
    fan: bool = False
    spi: bool = False
    uart: bool = False
    state: bool = False
    inputs: list[Pin] = []
    outputs: list[Output] = []
    readings: list[ReadingPattern] = []
    events: bool = False


def granted_pins(plugin: str, grant: Grant) -> list[tuple[str, int]]:
    """Return the digital pins of a grant, each with its key in the configuration."""
    table = f"plugins.grants.{plugin}"
    inputs = [(f"{table}.inputs[{i}]", pin) for i, pin in enumerate(grant.inputs)]
    outputs = [(f"{table}.outputs[{i}].pin", o.pin) for i, o in enumerate(grant.outputs)]
    return inputs + outputs


def may_read(grant: Grant, node: str, sensor: str) -> bool:
    """Return whether a grant covers the readings of a sensor."""
    covering = {f"{node}:{sensor}", f"{node}:{_ALL}", _ALL}
    return not covering.isdisjoint(grant.readings)
