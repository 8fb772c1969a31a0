"""Descriptions of a node's sensors, published when they change and cleared when a sensor goes.

A sensor goes when its plugin is no longer enabled, or when the plugin has reported its other
sensors for a day without it. The ids of the published ones are kept in a file, so that the topics
of a former run are cleared, too.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bus.contract.bounds import MAX_FIELDS, Name
from bus.contract.description import FieldDescription, Fields, SensorDescription
from bus.files import json_file
from bus.files.json_file import SavedOnChange
from node_agent.descriptions.names import Names

logger = logging.getLogger(__name__)

_TOPICS_LEFT = "topics of a former run may be left"
# Of a sensor that its plugin reports no longer.
FORGOTTEN_AFTER_S = 86_400.0

# The poll that runs while settings change may still have the former ones; the one after it has not.
_POLLS_AFTER_SETTINGS = 2

# Publishes the description of a sensor, or clears its topic where that is None.
Publish = Callable[[str, SensorDescription | None], object]
# Returns the fields of a sensor with the limits of bands that hold for it.
Resolve = Callable[[str, Fields], Fields]


def as_described(_sensor_id: str, fields: Fields) -> Fields:
    """Return the fields of a plugin without settings."""
    return fields


class _Sensor:
    """One sensor: its plugin, what the author says, and the fields that ever came."""

    def __init__(self, plugin: str, now_s: float) -> None:
        self.plugin = plugin
        self.interval_s = 0.0
        self.described: Fields = {}
        # In the order in which they came.
        self.came: dict[str, None] = {}
        self.heard_s = now_s
        # Polls until the fields that come are those of the present settings.
        self.awaited_polls = 0
        self.published: SensorDescription | None = None

    def hear(self, fields: Iterable[str], described: Fields, now_s: float) -> None:
        self.heard_s = now_s
        if described != self.described:
            # Another version of the plugin, which may report other fields.
            self.described, self.came = described, {}
        if self.awaited_polls:
            self.awaited_polls -= 1
            self.came = {}
        for field in fields:
            if len(self.came) < MAX_FIELDS:
                self.came.setdefault(field)

    def fields(self) -> Fields:
        """Return the fields that came: those that are described in their order, then the others.

        One that is not valid yet is awaited: it is there with the field that says so.
        """
        known = {
            name: said
            for name, said in self.described.items()
            if name in self.came or said.pending in self.came
        }
        return known | {name: FieldDescription() for name in self.came if name not in known}


class SensorDescriptions:
    """The descriptions of a node's sensors. Any thread may call.

    `plugins` are the enabled ones, each with what puts the values of its settings into the limits
    of bands. `save` writes the ids to `path` where they changed.
    """

    def __init__(
        self,
        publish: Publish,
        names: Names,
        path: Path,
        plugins: Mapping[str, Resolve],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._plugins = plugins
        self._names = names
        self._monotonic_s = monotonic_s
        now_s = monotonic_s()
        kept = json_file.load(path, dict[Name, str], _TOPICS_LEFT) or {}
        self._sensors = {i: _Sensor(p, now_s) for i, p in kept.items() if p in plugins}
        # Their topics are cleared at each connection: an earlier broker may have kept them.
        self._gone = {i for i, plugin in kept.items() if plugin not in plugins}
        self._file = SavedOnChange(path, is_saved=not self._gone)
        self._lock = threading.Lock()

    @property
    def ids(self) -> list[str]:
        """The sensors that the node has."""
        with self._lock:
            return sorted(self._sensors)

    def hear(
        self,
        plugin: str,
        described: Fields,
        readings: Iterable[tuple[str, Iterable[str]]],
        interval_s: float,
    ) -> None:
        """Note the sensors of one poll with the names of their values; publish what is new."""
        now_s = self._monotonic_s()
        heard = list(readings)
        with self._lock:
            for sensor_id, fields in heard:
                sensor = self._sensor(sensor_id, plugin, now_s)
                sensor.interval_s = interval_s
                sensor.hear(fields, described, now_s)
                self._publish_if_changed(sensor_id, sensor)
            if heard:
                self._forget(plugin, now_s)

    def publish_all(self) -> None:
        """Publish every description again: the broker may have lost them."""
        with self._lock:
            for sensor_id in sorted(self._gone):
                self._publish(sensor_id, None)
            for sensor in self._sensors.values():
                sensor.published = None
            self._publish_changed()

    def settings_changed(self, plugin: str) -> None:
        """Publish what changed with a plugin's settings, now or with the next polls.

        Limits of bands follow at once; a value may come or go with a setting.
        """
        with self._lock:
            for sensor in self._sensors.values():
                if sensor.plugin == plugin:
                    sensor.awaited_polls = _POLLS_AFTER_SETTINGS
            self._publish_changed()

    def publish_changed(self) -> None:
        """Publish the descriptions that changed with a name."""
        with self._lock:
            self._publish_changed()

    def save(self) -> None:
        """Write the ids to the disk where they changed; a disk that refuses is logged once."""
        self._file.save(self._snapshot)

    def _snapshot(self) -> dict[str, str]:
        with self._lock:
            return {sensor_id: sensor.plugin for sensor_id, sensor in self._sensors.items()}

    def _sensor(self, sensor_id: str, plugin: str, now_s: float) -> _Sensor:
        found = self._sensors.get(sensor_id)
        if found is None or found.plugin != plugin:
            found = self._sensors[sensor_id] = _Sensor(plugin, now_s)
            self._gone.discard(sensor_id)
            self._file.changed()
        return found

    def _forget(self, plugin: str, now_s: float) -> None:
        """Clear the topics of sensors that the plugin has not reported for a day."""
        old = [
            sensor_id
            for sensor_id, sensor in self._sensors.items()
            if sensor.plugin == plugin and now_s - sensor.heard_s > FORGOTTEN_AFTER_S
        ]
        for sensor_id in old:
            del self._sensors[sensor_id]
            self._gone.add(sensor_id)
            self._file.changed()
            self._publish(sensor_id, None)
            logger.info("sensor %s has not been read for a day and is described no more", sensor_id)

    def _publish_changed(self) -> None:
        for sensor_id, sensor in self._sensors.items():
            if sensor.came:
                self._publish_if_changed(sensor_id, sensor)

    def _publish_if_changed(self, sensor_id: str, sensor: _Sensor) -> None:
        name = self._names.of_sensor(sensor_id)
        resolve = self._plugins.get(sensor.plugin, as_described)
        fields = resolve(sensor_id, sensor.fields())
        said = SensorDescription(sensor.plugin, name.title, name.area, sensor.interval_s, fields)
        if said != sensor.published:
            sensor.published = said
            self._publish(sensor_id, said)
