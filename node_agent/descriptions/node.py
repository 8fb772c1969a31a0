"""Descriptions of a whole node on the bus: `about`, its sensors, and the command for names."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from bus.config.settings import Config
from bus.contract.bounds import MAX_TEXT_CHARS
from bus.contract.commands import parse_names
from bus.contract.description import About, Fields, SensorDescription
from bus.contract.messages import Message
from bus.contract.topics import TopicKind
from bus.install import assets
from bus.install.version import VERSION, commit
from node_agent.descriptions import machine
from node_agent.descriptions.former_plugins import FormerPlugins
from node_agent.descriptions.names import Names
from node_agent.descriptions.sensors import Resolve, SensorDescriptions

_NAMES_FILE = "names.json"
_SENSORS_FILE = "described-sensors.json"
_PLUGINS_FILE = "published-plugins.json"
# Beside Python and the program; a node without a plugin host has none of them.
_LIBRARIES = ("wasmtime",)


class Bus(Protocol):
    """The part of a node's bus that descriptions need."""

    @property
    def local_address(self) -> str: ...

    def publish(self, kind: TopicKind, message: Message, name: str = "") -> bool: ...

    def clear(self, kind: TopicKind, name: str = "") -> bool: ...


class NodeDescriptions:
    """What a node says of itself and of its sensors. Any thread may call.

    `actuators` are those that the node has, each with the words or keys of its commands; `plugins`
    are the enabled ones, each with what puts the values of its settings into the limits of bands.
    `no_bundles` says why it takes none from the hub whose `bundle_key` it has, `no_components` why
    it takes no components.
    """

    def __init__(  # noqa: PLR0913 - the parts that a node tells of; three have defaults
        self,
        config: Config,
        bus: Bus,
        state_dir: Path,
        *,
        actuators: Mapping[str, list[str]],
        plugins: Mapping[str, Resolve],
        bundle_key: bytes = b"",
        no_bundles: str = "",
        no_components: str = "",
    ) -> None:
        self._bus = bus
        self._bundle_key = bundle_key
        self._no_bundles, self._no_components = no_bundles, no_components
        self._interval_s = config.polling.interval_seconds
        self._actuators = dict(actuators)
        self._versions = {"harvester": VERSION, "python": platform.python_version()}
        if assets.is_packaged():
            # A clone would have to ask git.
            self._versions["commit"] = commit()
        self._versions |= {name: found for name in _LIBRARIES if (found := _version(name))}
        self._names = Names(config, state_dir / _NAMES_FILE)
        self._sensors = SensorDescriptions(
            self._publish_sensor, self._names, state_dir / _SENSORS_FILE, plugins
        )
        self._former_plugins = FormerPlugins(plugins, state_dir / _PLUGINS_FILE, self._clear_plugin)

    def hear(
        self,
        plugin: str,
        described: Fields,
        readings: Iterable[tuple[str, Iterable[str]]],
        interval_s: float | None = None,
    ) -> None:
        """Note the sensors of one poll: their ids, each with the names of its values."""
        self._sensors.hear(plugin, described, readings, interval_s or self._interval_s)

    def publish_all(self) -> None:
        """Publish everything again after a connection, and clear what is gone."""
        self._bus.publish(TopicKind.ABOUT, self._about())
        self._sensors.publish_all()
        self._former_plugins.clear_all()

    def name_command(self, payload: bytes) -> None:
        """Execute a command for names. Raises BadCommandError with a sentence."""
        self._names.give(parse_names(payload), self._sensors.ids)
        self._bus.publish(TopicKind.ABOUT, self._about())
        self._sensors.publish_changed()

    def settings_changed(self, plugin: str) -> None:
        """Publish the descriptions of a plugin's sensors that change with its settings."""
        self._sensors.settings_changed(plugin)

    def save(self) -> None:
        self._sensors.save()
        self._former_plugins.save()

    def _about(self) -> About:
        name = self._names.node
        return About(
            title=name.title,
            area=name.area,
            model=machine.model(),
            os=machine.operating_system(),
            arch=machine.architecture(),
            address=machine.lan_address(self._bus.local_address),
            versions=self._versions,
            actuators=self._actuators,
            bundle_key="" if self._no_bundles else self._bundle_key.hex(),
            no_bundles=self._no_bundles[:MAX_TEXT_CHARS],
            component_key="" if self._no_components else self._bundle_key.hex(),
            no_components=self._no_components[:MAX_TEXT_CHARS],
        )

    def _clear_plugin(self, plugin: str) -> bool:
        kinds = (TopicKind.PLUGIN, TopicKind.DELIVERY)
        return all(self._bus.clear(kind, plugin) for kind in kinds)

    def _publish_sensor(self, sensor_id: str, said: SensorDescription | None) -> bool:
        if said is not None:
            return self._bus.publish(TopicKind.SENSOR, said, sensor_id)
        # A reading that stayed would be one that nothing describes.
        kinds = (TopicKind.READING, TopicKind.SENSOR)
        return all(self._bus.clear(kind, sensor_id) for kind in kinds)


def _version(package: str) -> str:
    """Return the version of an installed package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
