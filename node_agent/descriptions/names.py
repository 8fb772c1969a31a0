"""Names of a node and of its sensors: those of the configuration, and those that a command gave.

A command's name counts before the configuration's, and is kept in a file. Ids never change by it.
"""

import threading
from collections.abc import Collection
from pathlib import Path

import msgspec

from bus.config.settings import Config, NameConfig
from bus.contract.bounds import Name, Word
from bus.contract.commands import NamesCommand
from bus.errors import BadCommandError
from bus.files import json_file

_NAMES_LOST = "only the configuration's names hold"
# Sensors with a kept name. Commands come from anyone allowed, and the file must not grow for ever.
MAX_SENSORS = 512


class _Given(msgspec.Struct, frozen=True):
    """Names that a command gave; an empty one leaves the configuration's."""

    title: Word = ""
    area: Word = ""


class _Kept(msgspec.Struct, frozen=True):
    node: _Given = _Given()
    sensors: dict[Name, _Given] = {}


class Names:
    """The names of a node, kept in the file at `path`. Any thread may call."""

    def __init__(self, config: Config, path: Path) -> None:
        self._node = NameConfig(title=config.cluster.title, area=config.cluster.area)
        self._sensors = config.names
        self._path = path
        self._lock = threading.Lock()
        self._kept = json_file.load(path, _Kept, _NAMES_LOST) or _Kept()

    @property
    def node(self) -> NameConfig:
        """Title and area of the node."""
        return _over(self._node, self._kept.node)

    def of_sensor(self, sensor_id: str) -> NameConfig:
        """Return title and area of a sensor, which is where its node is unless a name says so."""
        configured = self._sensors.get(sensor_id, NameConfig())
        found = _over(configured, self._kept.sensors.get(sensor_id, _Given()))
        return found if found.area else msgspec.structs.replace(found, area=self.node.area)

    def give(self, command: NamesCommand, sensors: Collection[str]) -> None:
        """Take a name from a command and keep it. `sensors` are the ids that the node has.

        Raises BadCommandError where the node has no such sensor or the disk refuses.
        """
        with self._lock:
            kept = self._with(command, sensors)
            try:
                json_file.save(self._path, kept)
            except OSError as e:
                raise BadCommandError(f"the name cannot be kept: {self._path}: {e}") from e
            self._kept = kept

    def _with(self, command: NamesCommand, sensors: Collection[str]) -> _Kept:
        sensor, kept = command.sensor, self._kept
        if sensor is None:
            return msgspec.structs.replace(kept, node=_given(kept.node, command))
        if sensor not in sensors:
            known = ", ".join(sorted(sensors)) or "none: no sensor has answered yet"
            raise BadCommandError(f"sensor: found {sensor!r}, expected one of {known}")
        given = _given(kept.sensors.get(sensor, _Given()), command)
        others = {name: old for name, old in kept.sensors.items() if name != sensor}
        named = others if given == _Given() else others | {sensor: given}
        if len(named) > MAX_SENSORS:
            raise BadCommandError(
                f"found names of {MAX_SENSORS} sensors already, which is the most"
            )
        return msgspec.structs.replace(kept, sensors=named)


def _given(old: _Given, command: NamesCommand) -> _Given:
    return _Given(
        old.title if command.title is None else command.title,
        old.area if command.area is None else command.area,
    )


def _over(configured: NameConfig, given: _Given) -> NameConfig:
    return NameConfig(title=given.title or configured.title, area=given.area or configured.area)
