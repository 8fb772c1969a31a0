"""Plugins of a node: the state that each keeps, their deliveries, and the runner of each."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from bus.client.node import NodeBus
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config, Grant
from bus.contract.description import Fields
from bus.contract.topics import TopicKind
from bus.files import whole_file
from bus.outbox.outbox import Sample
from node_agent.delivery.component_source import HubAddress
from node_agent.delivery.deliveries import Deliveries
from node_agent.descriptions.plugin_settings import PluginSettings
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins import grants
from node_agent.plugins.disabled import DisabledPlugins
from node_agent.plugins.outputs import darken
from node_agent.plugins.runner import PluginRunner
from node_agent.plugins.sensor_owners import SensorOwners
from node_agent.plugins.state_saver import StateSaver
from node_agent.plugins.store import PluginStore
from node_agent.plugins.thread import PluginParts
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.recorder.flight import FlightParts
from node_agent.recorder.kept import KeptRecords
from node_agent.sandbox.runtime import Runtime

_OWNERS_FILE = "sensor-owners.json"


class OnSamples(Protocol):
    """Taker of a plugin's samples, with their described fields."""

    def __call__(self, plugin: str, found: Sequence[Sample], described: Fields) -> None: ...


class NodePlugins:
    """What a node keeps for its enabled plugins, in `state_dir`."""

    def __init__(self, config: Config, state_dir: Path, bus: NodeBus) -> None:
        enabled = config.plugins.enabled
        # Of an agent that was killed.
        whole_file.remove_abandoned(state_dir)
        self._config = config
        self._bus = bus
        self.disabled = DisabledPlugins(state_dir / "disabled-plugins.json")
        self.stores = {
            name: PluginStore(state_dir / "plugins" / f"{name}.json")
            for name in enabled
            if self._grant(name).state
        }
        self.owners = SensorOwners(enabled, state_dir / _OWNERS_FILE)
        self.settings = {
            name: PluginSettings(
                name,
                config.plugins.settings.get(name),
                state_dir / "plugin-settings" / f"{name}.json",
                partial(self.owners.of_plugin, name),
                self._grant(name).leds,
            )
            for name in enabled
        }
        self.deliveries = Deliveries(
            config, state_dir, bus.bundle_key, bus.publish, partial(_hub_of, bus)
        )
        self.records = KeptRecords(lambda name, record: bus.publish(TopicKind.RECORD, record, name))

    @property
    def owned_leds(self) -> set[int]:
        """The LEDs that are granted to a plugin."""
        return {led for name in self._config.plugins.enabled for led in self._grant(name).leds}

    def runners(
        self,
        parts: NodeParts,
        runtime: Runtime,
        saver: StateSaver,
        on_samples: OnSamples,
    ) -> list[PluginRunner]:
        """Return the runner of each plugin."""
        return [
            self._runner(self._parts(name, parts, runtime, saver, on_samples))
            for name in self._config.plugins.enabled
        ]

    def _runner(self, plugin: PluginParts) -> PluginRunner:
        name = plugin.name
        return PluginRunner(
            plugin,
            partial(plugin_file, self._config.plugins, name),
            lambda state: self._bus.publish(TopicKind.PLUGIN, state, name),
            is_enabled=name not in self.disabled,
            delivery=self.deliveries.of_plugin[name],
        )

    def _parts(
        self,
        name: str,
        parts: NodeParts,
        runtime: Runtime,
        saver: StateSaver,
        on_samples: OnSamples,
    ) -> PluginParts:
        grant = self._grant(name)
        return PluginParts(
            name=name,
            runtime=runtime,
            refuse=lambda interfaces: grants.missing(name, interfaces, grant),
            make_imports=partial(host_imports, name, grant, parts, self.stores.get(name)),
            effects=EffectParts(
                *(name, grant, parts.hardware, parts.pin_users),
                claim=partial(self.owners.claim, name),
                publish=self._bus.publish_event,
            ),
            feed=parts.view.as_json,
            on_samples=partial(on_samples, name),
            save_state=saver.save_soon,
            owners=self.owners,
            settings=self.settings[name],
            darken=partial(darken, name, grant, parts),
            admit=self.deliveries.of_plugin[name].admit,
            flight=self._flight_parts(name),
        )

    def _flight_parts(self, name: str) -> FlightParts | None:
        limit_bytes = self._config.plugins.record_kb * 1024
        if not limit_bytes:
            return None
        return FlightParts(self._config.cluster.node_id, name, limit_bytes, self.records)

    def _grant(self, plugin: str) -> Grant:
        return self._config.plugins.grants.get(plugin, Grant())


def _hub_of(bus: NodeBus) -> HubAddress | None:
    """Return the hub at the address of its broker, None without a login there."""
    return None if bus.login is None else HubAddress(bus.broker_host, bus.login)
