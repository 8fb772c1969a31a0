"""Settings that an owner gave: values of the whole plugin, and values of single sensors.

In a file they are one table, whose key `sensors` holds a table for each sensor.
"""

from collections.abc import Mapping

import msgspec

from bus.contract import setting_value
from bus.contract.bounds import FieldName
from bus.contract.description import (
    MAX_SET_SENSORS,
    SensorSettings,
    Settings,
    SettingValue,
    SettingValues,
)
from bus.contract.mistake import shown

SENSORS = "sensors"
# What the state of a plugin has room for.
MAX_BYTES = 8192

SettingTable = dict[FieldName, SettingValue | SensorSettings]


class GivenSettings(msgspec.Struct, frozen=True):
    """Values by setting, for the plugin and for each sensor that has its own."""

    plugin: SettingValues = {}
    sensors: SensorSettings = {}

    @property
    def table(self) -> SettingTable:
        """The values as a file has them."""
        return {**self.plugin, SENSORS: self.sensors} if self.sensors else {**self.plugin}

    def over(self, other: "GivenSettings") -> "GivenSettings":
        """Return these values, and those of `other` where there is none here."""
        ids = {**other.sensors, **self.sensors}
        sensors = {id_: {**other.sensors.get(id_, {}), **self.sensors.get(id_, {})} for id_ in ids}
        return GivenSettings({**other.plugin, **self.plugin}, sensors)

    def with_values(
        self, values: Mapping[str, SettingValue | None], sensor: str | None
    ) -> "GivenSettings":
        """Return a copy with `values` for the plugin or a sensor; None removes a value."""
        old = self.plugin if sensor is None else self.sensors.get(sensor, {})
        new = {key: value for key, value in {**old, **values}.items() if value is not None}
        if sensor is None:
            return GivenSettings(new, self.sensors)
        others = {id_: of for id_, of in self.sensors.items() if id_ != sensor}
        return GivenSettings(self.plugin, {**others, sensor: new} if new else others)


def split(table: Mapping[str, SettingValue | SensorSettings]) -> GivenSettings:
    """Return the values of a table; what `structure_mistake` refuses is left out."""
    sensors = table.get(SENSORS, {})
    plugin = {key: value for key, value in table.items() if not isinstance(value, dict)}
    plugin.pop(SENSORS, None)
    return GivenSettings(plugin, sensors if isinstance(sensors, dict) else {})


def refusal(plugin: str, described: Settings, given: GivenSettings) -> str:
    """Return why a configuration's settings of `plugin` do not fit, or nothing where they do."""
    if line := first_mistake(described, given):
        return f"plugins.settings.{plugin}.{line}"
    line = size_mistake(given)
    return f"plugins.settings.{plugin}: {line}" if line else ""


def structure_mistake(table: Mapping[str, SettingValue | SensorSettings]) -> str | None:
    """Return `key: found this, expected that` where a table is in the place of a value."""
    for key, value in table.items():
        if isinstance(value, dict) != (key == SENSORS):
            expected = "a table for each sensor" if key == SENSORS else "a value"
            return f"{key}: found {shown(value)}, expected {expected}"
    return None


def first_mistake(described: Settings, given: GivenSettings) -> str | None:
    """Return `key: found this, expected that` for the first bad value, else None."""
    if line := setting_value.first_mistake(described, given.plugin):
        return line
    for sensor, values in given.sensors.items():
        if line := setting_value.first_sensor_mistake(described, values):
            return f"{SENSORS}.{sensor}.{line}"
    return None


def size_mistake(given: GivenSettings) -> str | None:
    """Return what was found and expected where the values are more than a state has room for."""
    if len(given.sensors) > MAX_SET_SENSORS:
        return f"found values of {len(given.sensors)} sensors, expected at most {MAX_SET_SENSORS}"
    size = len(msgspec.json.encode(given.table))
    if size > MAX_BYTES:
        return f"found {size} bytes of values, expected at most {MAX_BYTES}"
    return None
