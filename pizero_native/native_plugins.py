"""Plugins whose work the service does itself: their descriptions, settings and states on the bus.

It reads the same `plugin.toml` and takes the same settings as a node with a plugin host.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bus.clock import now_ms
from bus.config.settings import Config
from bus.contract import commands, given_settings
from bus.contract.description import Fields, SettingValues
from bus.contract.messages import PluginState
from bus.errors import BadCommandError, MisconfiguredError
from node_agent.descriptions.plugin_settings import PluginSettings
from pizero_native import fields

# The plugins whose work the service does.
AIR, HEALTH = PLUGINS = ("bme680", "pizero-monitor")
# What a command may do to a plugin without a plugin host.
_ACTION = "set"
_OTHER_ACTIONS = ("reload", "enable", "disable", "record")
# The words of a command, as `about` has them.
WORDS = [word for word in commands.WORDS["plugins"] if word not in _OTHER_ACTIONS]
# Settings of outputs that the service does not have.
_OUTPUTS = {"alarm": "buzzer", "led": "LEDs"}

Publish = Callable[[PluginState, str], object]


def check_settings(config: Config) -> None:
    """Raise MisconfiguredError where a value does not fit what its plugin describes."""
    for name in PLUGINS:
        described, given = fields.of_plugin(name).settings, config.plugins.given_settings(name)
        if line := given_settings.refusal(name, described, given):
            raise MisconfiguredError(line)


class NativePlugin:
    """One plugin, with the ids of its sensors. Any thread may call."""

    def __init__(self, name: str, config: Config, state_dir: Path, sensors: Sequence[str]) -> None:
        said = fields.of_plugin(name)
        self.settings = PluginSettings(
            name,
            config.plugins.settings.get(name),
            state_dir / "plugin-settings" / f"{name}.json",
            lambda: sensors,
        )
        described = {key: of for key, of in said.settings.items() if key not in _OUTPUTS}
        self.settings.adopt(described, said.fields)
        self.fields: Fields = said.fields
        self._version = said.version
        self._since_ms = now_ms()

    def values(self, sensor_id: str) -> SettingValues:
        """Return the values that hold for a sensor."""
        return self.settings.values() | self.settings.sensor_values().get(sensor_id, {})

    @property
    def state(self) -> PluginState:
        return PluginState(
            "running",
            sha256="",
            loaded_ms=self._since_ms,
            restarts=0,
            error=self.settings.problem,
            since_ms=self._since_ms,
            settings=self.settings.values(),
            described=self.settings.described,
            sensors=self.settings.sensor_values(),
            version=self._version,
        )


class NativePlugins:
    """All plugins of the service by name, and the command that sets their settings.

    `publish(state, plugin)` gets each state when it changes, `on_settings(plugin)` is called when
    settings were set.
    """

    def __init__(
        self,
        node: str,
        plugins: Mapping[str, NativePlugin],
        publish: Publish,
        on_settings: Callable[[str], object] = lambda _plugin: None,
    ) -> None:
        self._node = node
        self._plugins = dict(plugins)
        self._publish = publish
        self._on_settings = on_settings

    def __getitem__(self, name: str) -> NativePlugin:
        return self._plugins[name]

    def publish_all(self) -> None:
        """Publish every state again after a connection."""
        for name, plugin in self._plugins.items():
            self._publish(plugin.state, name)

    def execute(self, payload: bytes) -> None:
        """Execute a command. Raises BadCommandError with a sentence."""
        wanted = commands.parse_plugin(payload)
        plugin = self._plugins.get(wanted.plugin)
        if plugin is None:
            names = ", ".join(self._plugins)
            raise BadCommandError(f"plugin: found {wanted.plugin!r}, expected one of {names}")
        if wanted.action != _ACTION:
            raise BadCommandError(
                f"action: found {wanted.action!r}, expected {_ACTION!r}: "
                f"{self._node} has no plugin host"
            )
        for key in wanted.settings.keys() & _OUTPUTS.keys():
            raise BadCommandError(f"settings.{key}: {self._node} has no {_OUTPUTS[key]}")
        plugin.settings.set(wanted.settings, wanted.sensor)
        self._publish(plugin.state, wanted.plugin)
        self._on_settings(wanted.plugin)
