"""The service's end of the bus: readings with their descriptions, plugin states, and commands."""

import os
from typing import Any, Self

from bus.client.node import NodeBus
from bus.clock import now_ms
from bus.config.directories import runtime_dir, state_dir
from bus.config.settings import Config
from bus.contract import commands
from bus.contract.description import Fields
from bus.contract.messages import PluginState, Result
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.outbox.outbox import Sample
from node_agent.descriptions.node import NodeDescriptions
from node_agent.descriptions.sensors import as_described
from node_agent.descriptions.update import MachineUpdate
from pizero_native import fields, native_plugins
from pizero_native.commands import Commands
from pizero_native.native_plugins import NativePlugin, NativePlugins

_NAMES, _PLUGINS, _UPDATE = "names", "plugins", "update"
# The plugin of a ping.
_NO_PLUGIN = ""
_NO_FILES = "the light service does the work of its plugins itself"


class Publisher:
    """Publishes from entering to leaving its context, and answers every command meanwhile.

    Any thread may call. `plugins` are those whose work the service does itself.
    """

    def __init__(self, config: Config, plugins: dict[str, NativePlugin]) -> None:
        node = config.cluster.node_id
        self._config = config
        self.plugins = NativePlugins(node, plugins, self._publish_state, self._handle_settings)
        self.bus = NodeBus(
            config,
            filters=[topic_filter(TopicKind.COMMAND, node)],
            on_message=self._handle,
            on_connect=self._publish_all,
        )
        self.descriptions = NodeDescriptions(
            config,
            self.bus,
            state_dir(config, os.environ),
            actuators={
                _NAMES: commands.WORDS[_NAMES],
                _PLUGINS: native_plugins.WORDS,
                _UPDATE: commands.WORDS[_UPDATE],
            },
            plugins={
                _NO_PLUGIN: as_described,
                **{name: plugin.settings.resolved for name, plugin in plugins.items()},
            },
            no_bundles=_NO_FILES,
            no_components=_NO_FILES,
        )
        self.update = MachineUpdate(self.bus, runtime_dir(config, os.environ))
        executors = {
            _NAMES: self.descriptions.name_command,
            _PLUGINS: self.plugins.execute,
            _UPDATE: self.update.command,
        }
        self._commands = Commands(node, executors, self._publish_result)

    def __enter__(self) -> Self:
        self.bus.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bus.__exit__(*error)

    def publish(self, plugin: str, sensor_id: str, data: dict[str, Any]) -> None:
        """Publish what was measured just now for a plugin."""
        interval_s = self._config.polling.interval_seconds
        self._publish(plugin, sensor_id, data, self.plugins[plugin].fields, interval_s)

    def publish_ping(self, sensor_id: str, data: dict[str, Any]) -> None:
        self._publish(_NO_PLUGIN, sensor_id, data, fields.PING, self._config.pings.interval_s)

    def _publish(
        self,
        plugin: str,
        sensor_id: str,
        data: dict[str, Any],
        described: Fields,
        interval_s: float,
    ) -> None:
        self.descriptions.hear(plugin, described, [(sensor_id, data)], interval_s)
        self.bus.publish_readings([Sample(sensor_id, now_ms(), data)], plugin)

    # The bus client's thread runs these, once the context is entered.

    def _handle(self, topic: Topic, payload: bytes) -> None:
        self._commands.handle(topic, payload)

    def _handle_settings(self, plugin: str) -> None:
        self.descriptions.settings_changed(plugin)

    def _publish_all(self) -> None:
        """Publish every retained state after a connection: the broker may have lost them."""
        self.descriptions.publish_all()
        self.plugins.publish_all()
        self.update.publish_all()

    def _publish_state(self, state: PluginState, plugin: str) -> None:
        self.bus.publish(TopicKind.PLUGIN, state, plugin)

    def _publish_result(self, actuator: str, result: Result) -> None:
        self.bus.publish(TopicKind.RESULT, result, actuator)
