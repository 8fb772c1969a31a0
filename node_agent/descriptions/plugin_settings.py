"""Settings of one plugin: a command's value, else the configuration's, else the default.

A sensor of the plugin may have values of its own, which count before the plugin's.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from bus.contract import band_limits, given_settings, setting_value
from bus.contract.description import (
    MAX_SET_SENSORS,
    Fields,
    SensorSettings,
    SettingDescription,
    Settings,
    SettingValue,
    SettingValues,
)
from bus.contract.given_settings import GivenSettings, SettingTable
from bus.errors import BadCommandError
from bus.files import json_file
from node_agent.descriptions.names import NO_SENSOR_YET

logger = logging.getLogger(__name__)


class GetSetting(Protocol):
    """Returns the value of a setting as JSON, None where there is none."""

    def __call__(self, key: str, sensor_id: str | None = None, /) -> str | None: ...


def no_setting(_key: str, _sensor_id: str | None = None, /) -> None:
    """Answer for a plugin without settings."""


class PluginSettings:
    """The settings of `plugin`. Any thread may call.

    `configured` is the plugin's table in the node's configuration; values that commands set are
    kept in the file at `path`. `described` is the table of the component that runs, empty until
    there is one. `sensors` returns the ids of the plugin's sensors. `leds` are those that the
    plugin is granted, None where it does not matter.
    """

    def __init__(
        self,
        plugin: str = "",
        configured: Mapping[str, SettingValue | SensorSettings] | None = None,
        path: Path | None = None,
        sensors: Callable[[], Collection[str]] = tuple,
        leds: Collection[int] | None = None,
    ) -> None:
        self._plugin = plugin
        self._configured = given_settings.split(configured or {})
        self._path = path
        self._sensors = sensors
        self._leds = leds
        self._kept = _read(path) if path is not None else GivenSettings()
        self._lock = threading.Lock()
        # By setting, why the plugin itself refuses its value.
        self._refused: dict[str, str] = {}
        self._fields: Fields = {}
        self.described: Settings = {}
        # Why settings do not fit together; empty where they do.
        self._disorder = ""

    @property
    def problem(self) -> str:
        """The reason why the settings that hold are wrong; empty where they are not."""
        with self._lock:
            refused = [f"{key}: {reason}" for key, reason in self._refused.items()]
        found = "; ".join(filter(None, (self._disorder, *refused)))
        return f"settings: {found}" if found else ""

    def refused_by_plugin(self, key: str, reason: str) -> None:
        """Take a plugin's own refusal of a value, which holds until the setting is set."""
        with self._lock:
            if key in self.described:
                self._refused[key] = reason

    def refusal(self, described: Settings) -> str:
        """Return why the configuration's values do not fit a component's table, or nothing."""
        return given_settings.refusal(self._plugin, described, self._configured)

    def adopt(self, described: Settings, fields: Fields | None = None) -> None:
        """Take the table of the component that runs from now on, and its fields.

        A kept value that does not fit any more is not used, with a warning.
        """
        self.described, self._fields = described, fields or {}
        with self._lock:
            self._refused.clear()
        for kept in _single_values(self._kept):
            if line := given_settings.first_mistake(described, kept):
                logger.warning("plugin %s: a kept setting is not used: %s", self._plugin, line)
        self._find_problem()

    def resolved(self, sensor_id: str, fields: Fields) -> Fields:
        """Return the fields of a sensor, with the values that hold as limits of bands."""
        return band_limits.resolved(fields, partial(self._value_of, sensor_id))

    def values(self) -> SettingValues:
        """Return every described setting with the value that holds for the plugin."""
        described = self.described
        return {key: self._value(key, setting) for key, setting in described.items()}

    def sensor_values(self) -> SensorSettings:
        """Return the values of its own that each sensor has; nothing where no setting allows it."""
        of_sensors = _of_sensors(self.described)
        if not of_sensors:
            return {}
        own = {sensor: self._own(of_sensors, sensor) for sensor in self._known_sensors()}
        # Those with values first, where there are more than a message may have.
        first = sorted(own, key=lambda sensor: (not own[sensor], sensor))[:MAX_SET_SENSORS]
        return {sensor: own[sensor] for sensor in sorted(first)}

    def get(self, described: Settings, key: str, sensor_id: str | None = None, /) -> str | None:
        """Return the value of a setting as JSON, None where `described` has no such setting.

        A component on trial has another table than the one that runs.
        """
        setting = described.get(key)
        if setting is None:
            return None
        return msgspec.json.encode(self._value(key, setting, sensor_id)).decode()

    def set(self, values: Mapping[str, SettingValue | None], sensor_id: str | None = None) -> None:
        """Set and keep values of the plugin or of one sensor; None brings the configuration's back.

        Raises BadCommandError, with nothing set, where one does not fit or the disk refuses.
        """
        self._check(values, sensor_id)
        with self._lock:
            kept = self._kept.with_values(values, sensor_id)
            if line := given_settings.size_mistake(kept.over(self._configured)):
                raise BadCommandError(f"settings: {line}")
            self._save(kept.table)
            self._kept = kept
            for key in values:
                self._refused.pop(key, None)
            self._find_problem()

    def _check(self, values: Mapping[str, SettingValue | None], sensor_id: str | None) -> None:
        find, settable = setting_value.first_mistake, self.described
        if sensor_id is not None:
            find, settable = setting_value.first_sensor_mistake, _of_sensors(self.described)
            known = self._known_sensors()
            if sensor_id not in known:
                expected = f"one of {', '.join(sorted(known))}" if known else NO_SENSOR_YET
                raise BadCommandError(f"sensor: found {sensor_id!r}, expected {expected}")
        given = {key: value for key, value in values.items() if value is not None}
        # Of an unknown setting, the name alone is the mistake.
        checked = given | {key: "" for key in values if key not in settable}
        if line := find(self.described, checked) or self._led_mistake(settable, given):
            raise BadCommandError(f"settings.{line}")

    def _led_mistake(self, described: Settings, values: SettingValues) -> str | None:
        """Return `key: found this, expected that` for an LED that is not the plugin's."""
        for key, value in values.items():
            is_led = described[key].kind == "led" and isinstance(value, int) and value >= 0
            if is_led and self._leds is not None and value not in self._leds:
                granted = ", ".join(str(led) for led in self._leds) or "none"
                return (
                    f"{key}: found {value}, expected an LED that the node grants to the plugin"
                    f" (leds: {granted}), or -1 for none"
                )
        return None

    def _find_problem(self) -> None:
        """Find limits of bands in the wrong order, and log a new problem."""
        of_plugin = band_limits.disorder(self._fields, partial(self._value_of, None))
        found = of_plugin or next(self._sensor_problems(), "")
        if found and found != self._disorder:
            logger.warning("plugin %s: settings: %s", self._plugin, found)
        self._disorder = found

    def _sensor_problems(self) -> Iterator[str]:
        for sensor in sorted({*self._configured.sensors, *self._kept.sensors}):
            if line := band_limits.disorder(self._fields, partial(self._value_of, sensor)):
                yield f"{sensor}: {line}"

    def _value_of(self, sensor_id: str | None, key: str) -> SettingValue | None:
        setting = self.described.get(key)
        return None if setting is None else self._value(key, setting, sensor_id)

    def _known_sensors(self) -> frozenset[str]:
        return frozenset((*self._sensors(), *self._configured.sensors, *self._kept.sensors))

    def _own(self, of_sensors: Settings, sensor_id: str) -> SettingValues:
        found = {key: self._own_value(key, of, sensor_id) for key, of in of_sensors.items()}
        return {key: value for key, value in found.items() if value is not None}

    def _own_value(
        self, key: str, setting: SettingDescription, sensor_id: str
    ) -> SettingValue | None:
        given = (self._kept.sensors.get(sensor_id, {}), self._configured.sensors.get(sensor_id, {}))
        return _first_fitting(key, setting, *given) if setting.scope == "sensor" else None

    def _value(
        self, key: str, setting: SettingDescription, sensor_id: str | None = None
    ) -> SettingValue:
        own = None if sensor_id is None else self._own_value(key, setting, sensor_id)
        if own is None:
            own = _first_fitting(key, setting, self._kept.plugin, self._configured.plugin)
        return setting.default if own is None else own

    def _save(self, kept: SettingTable) -> None:
        if self._path is None:
            return
        try:
            json_file.save(self._path, kept)
        except OSError as e:
            raise BadCommandError(f"the settings cannot be kept: {self._path}: {e}") from e


def _of_sensors(described: Settings) -> Settings:
    """Return the settings of which each sensor may have its own value."""
    return {key: setting for key, setting in described.items() if setting.scope == "sensor"}


def _first_fitting(
    key: str, setting: SettingDescription, *given: SettingValues
) -> SettingValue | None:
    for values in given:
        if key in values and setting_value.mistake(setting, values[key]) is None:
            return values[key]
    return None


def _single_values(given: GivenSettings) -> list[GivenSettings]:
    """Return each value on its own, since a check ends at the first mistake."""
    single = [GivenSettings({key: value}) for key, value in given.plugin.items()]
    for sensor, values in given.sensors.items():
        single += [GivenSettings({}, {sensor: {key: value}}) for key, value in values.items()]
    return single


def _read(path: Path) -> GivenSettings:
    table = json_file.load(path, SettingTable, "only the configuration's settings hold")
    return given_settings.split(table or {})
