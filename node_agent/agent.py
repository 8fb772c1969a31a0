"""Agent of a node: runs the cycle that polls plugins, writes the LED strip and publishes.

Threads: the caller's thread runs the cycle; the bus client's thread passes on commands, readings
and bundles; each plugin has a thread, as have commands, the buzzer, the saving of state, the
verification of bundles and wasmtime's epoch.
"""

import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bus.client.node import NodeBus
from bus.config import directories
from bus.config.plugin_files import plugin_file
from bus.config.settings import Config, Grant, enabled_outputs, pin_users
from bus.contract import commands
from bus.contract.bounds import MAX_PLUGINS
from bus.contract.description import Fields
from bus.contract.messages import Costs, Fan, Leds, Oled, Result
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.errors import BadDataError, HarvesterError
from bus.fault import Fault
from bus.install.vital_signs import VitalSigns
from bus.outbox.outbox import Sample
from bus.service_manager import ServiceManager
from node_agent.actuators.actuators import (
    Actuators,
    Execute,
    buzzer_command,
    fan_command,
    leds_command,
)
from node_agent.actuators.buzzer import SILENT, BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer, to_hex
from node_agent.actuators.plugin_command import plugin_command
from node_agent.delivery.deliveries import Deliveries
from node_agent.descriptions.node import NodeDescriptions
from node_agent.descriptions.plugin_settings import PluginSettings
from node_agent.descriptions.update import MachineUpdate
from node_agent.hal import system
from node_agent.hal.capabilities import BLACK, Color, Hardware, Relay
from node_agent.hal.display.tap import WIDTH, DisplayTap, Picture
from node_agent.host_functions.effects import EffectParts
from node_agent.plugins import grants
from node_agent.plugins.bus_view import BusView
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
from node_agent.sandbox.memory import linear
from node_agent.sandbox.runtime import Runtime
from node_agent.schedule import next_due

logger = logging.getLogger(__name__)

_HEARTBEAT_COLORS = (Color(0, 0, 255), Color(0, 255, 255))
_HEARTBEAT_LED = 0
# Fraction of a cycle after which the strip is written without waiting for more polls.
_POLL_SHARE = 0.8
_STOP_S = 2.0
# Plugins' costs change with each poll; an interval of them is enough for people and Prometheus.
_FIRST_COSTS_S = 5.0
_COSTS_EVERY_S = 30.0
_SHADOWS_EVERY_S = 5.0
_OWNERS_FILE = "sensor-owners.json"


class Agent:
    """Runs one node, from `run` until `stop`."""

    def __init__(
        self,
        config: Config,
        hardware: Hardware,
        runtime: Runtime,
        state_dir: Path,
        service: ServiceManager | None = None,
    ) -> None:
        self._config = config
        self._hardware = hardware
        self._service = service or ServiceManager({})
        self._stopping = threading.Event()
        self._connected = threading.Event()
        self._view = BusView()
        self._leds = LedBuffer(config.leds.count)
        self._cycles = 0
        self._strip_fault = Fault("LED strip", logger=logger, level=logging.ERROR)
        self._bus = NodeBus(
            config,
            filters=_filters(config.cluster.node_id),
            on_message=self._handle_message,
            on_connect=self._connected.set,
        )
        self._buzzer = self._make_buzzer()
        self._fan = self._make_fan()
        self._display = self._tap_display()
        self._picture: Picture | None = None
        parts = NodeParts(
            hardware,
            self._leds,
            self._buzzer,
            self._fan,
            self._display,
            tuple(config.sensors.dht22_pins),
            tuple(config.hardware.ssd1306_addresses),
            pin_users(config),
            self._view,
        )
        self._disabled = DisabledPlugins(state_dir / "disabled-plugins.json")
        self._stores = {
            name: PluginStore(state_dir / "plugins" / f"{name}.json")
            for name in config.plugins.enabled
            if self._grant(name).state
        }
        self._owners = SensorOwners(config.plugins.enabled, state_dir / _OWNERS_FILE)
        self._settings = {
            name: PluginSettings(
                name,
                config.plugins.settings.get(name),
                state_dir / "plugin-settings" / f"{name}.json",
                partial(self._owners.of_plugin, name),
                self._grant(name).leds,
            )
            for name in config.plugins.enabled
        }
        self._deliveries = Deliveries(config, state_dir, self._bus.bundle_key, self._bus.publish)
        self._descriptions = NodeDescriptions(
            config,
            self._bus,
            state_dir,
            actuators=self._actuator_words(),
            plugins={name: of.resolved for name, of in self._settings.items()},
            bundle_key=self._bus.bundle_key,
            no_bundles=self._deliveries.obstacle,
        )
        self._update = MachineUpdate(self._bus, directories.runtime_dir(config, os.environ))
        self._records = KeptRecords(
            lambda name, record: self._bus.publish(TopicKind.RECORD, record, name)
        )
        # Plugins with a report of a shadow run on the bus.
        self._shadowed: set[str] = set()
        self._shadows_due_s = 0.0
        self._costs_due_s = time.monotonic() + _FIRST_COSTS_S
        self._saver = StateSaver([self._owners, self._descriptions, *self._stores.values()])
        self._runners = [self._make_runner(name, parts, runtime) for name in config.plugins.enabled]
        self._actuators = Actuators(config.cluster.node_id, self._executors(), self._publish_result)

    def stop(self) -> None:
        """Let `run` return after the current cycle. Any thread or signal handler may call."""
        self._stopping.set()

    def run(self) -> None:
        """Run cycles at a fixed rate until stopped, then leave everything in its safe state."""
        interval_s = self._config.polling.interval_seconds
        for sentence in grants.unread_sensors(self._config):
            logger.warning("%s", sentence)
        with ExitStack() as stack:
            stack.enter_context(self._bus)
            stack.callback(self._release_hardware)
            self._release_relays()
            self._make_outputs_safe()
            if self._buzzer is not None:
                stack.enter_context(self._buzzer)
            stack.enter_context(self._actuators)
            stack.enter_context(self._saver)
            stack.enter_context(self._deliveries)
            stack.callback(self._stop_plugins)
            stack.callback(self._service.stopping)
            self._service.ready()
            start_s = time.monotonic()
            while not self._stopping.is_set():
                self._cycle(time.monotonic())
                self._service.show(self._vital_signs())
                self._service.keep_alive()
                due_s = next_due(time.monotonic(), start_s, interval_s)
                self._service.wait(due_s - time.monotonic(), self._stopping.wait)

    def _cycle(self, now_s: float) -> None:
        self._toggle_heartbeat_led()
        for runner in self._runners:
            runner.run_cycle(now_s)
        deadline_s = now_s + _POLL_SHARE * self._config.polling.interval_seconds
        for runner in self._runners:
            self._service.wait(deadline_s - time.monotonic(), runner.wait_idle)
        self._write_strip()
        picture_has_changed = self._picture_has_changed()
        if self._connected.is_set():
            self._connected.clear()
            self._publish_all_states()
        elif picture_has_changed:
            self._publish_picture()
        self._update.publish_changed()
        self._deliveries.publish_changed()
        self._records.send_waiting()
        self._publish_costs(now_s)
        self._publish_shadows(now_s)
        self._bus.heartbeat(cycle_ms=(time.monotonic() - now_s) * 1000, rss_mb=system.rss_mb())
        self._cycles += 1

    def _publish_costs(self, now_s: float) -> None:
        if now_s < self._costs_due_s or not self._runners:
            return
        self._costs_due_s = now_s + _COSTS_EVERY_S
        sizes = linear.sizes()
        costs = {runner.name: runner.cost(sizes) for runner in self._runners[:MAX_PLUGINS]}
        self._bus.publish(TopicKind.COSTS, Costs(costs))

    def _publish_shadows(self, now_s: float, *, again: bool = False) -> None:
        """Publish what polls in the shadow of a plugin; empty the topic of one that is over."""
        is_due = again or now_s >= self._shadows_due_s
        if is_due:
            self._shadows_due_s = now_s + _SHADOWS_EVERY_S
        for runner in self._runners:
            report = runner.shadow_report()
            if report is not None:
                if not is_due:
                    continue
                self._bus.publish(TopicKind.SHADOW, report, runner.name)
                self._shadowed.add(runner.name)
            elif again or runner.name in self._shadowed:
                self._bus.clear(TopicKind.SHADOW, runner.name)
                self._shadowed.discard(runner.name)

    def _vital_signs(self) -> VitalSigns:
        phases = [runner.phase for runner in self._runners]
        return self._bus.vital_signs(faults=phases.count("failed"), loading=phases.count("loading"))

    def _toggle_heartbeat_led(self) -> None:
        owned = {i for name in self._config.plugins.enabled for i in self._grant(name).leds}
        if _HEARTBEAT_LED not in owned:
            color = _HEARTBEAT_COLORS[self._cycles % len(_HEARTBEAT_COLORS)]
            self._leds.set_many((_HEARTBEAT_LED,), color)

    def _write_strip(self) -> None:
        try:
            shown = self._leds.show(self._hardware.show_pixels)
        except HarvesterError as e:
            self._strip_fault.failed(str(e))
            return
        if shown:
            self._strip_fault.worked()
            self._publish_leds(shown)

    def _publish_leds(self, pixels: Sequence[Color]) -> None:
        self._bus.publish(TopicKind.LEDS, Leds([to_hex(pixel) for pixel in pixels]))

    def _picture_has_changed(self) -> bool:
        """Return whether the display shows another picture than in the last cycle."""
        last, self._picture = self._picture, self._display.seen() if self._display else None
        return self._picture != last

    def _publish_picture(self) -> None:
        if self._picture is not None:
            on, frame = self._picture
            self._bus.publish(TopicKind.OLED, Oled(WIDTH, self._picture.height, on, frame))

    def _publish_all_states(self) -> None:
        """Publish every retained state after a connection: the broker may have lost them."""
        self._descriptions.publish_all()
        self._update.publish_all()
        self._deliveries.publish_all()
        self._records.connected()
        self._publish_shadows(time.monotonic(), again=True)
        for runner in self._runners:
            runner.publish_state(again=True)
        if self._leds.shown:
            self._publish_leds(self._leds.shown)
        self._publish_picture()
        if self._buzzer is not None:
            self._bus.publish(TopicKind.BUZZER, self._buzzer.state)
        if self._fan is not None:
            self._bus.publish(TopicKind.FAN, self._fan.state)

    def _stop_plugins(self) -> None:
        for runner in self._runners:
            runner.stop()
        for runner in self._runners:
            runner.stop(_STOP_S)

    def _release_hardware(self) -> None:
        """Release the relays and darken the strip, then publish their states."""
        try:
            self._hardware.close()
        except HarvesterError as e:
            logger.error("hardware: %s", e)  # noqa: TRY400 - the sentence says it all
        self._leds.set_all(BLACK)
        self._publish_leds([BLACK] * self._config.leds.count)
        if self._buzzer is not None:
            self._bus.publish(TopicKind.BUZZER, SILENT)
        if self._fan is not None:
            self._bus.publish(TopicKind.FAN, Fan(on=False, mode="auto"))

    def _release_relays(self) -> None:
        """Drive every relay that the node has to its released level: until then its pin floats."""
        present = {Relay.BUZZER: self._buzzer, Relay.FAN: self._fan}
        for relay in (relay for relay, control in present.items() if control is not None):
            try:
                self._hardware.set_relay(relay, on=False)
            except HarvesterError as e:
                logger.error("%s relay: %s", relay.value, e)  # noqa: TRY400 - says it all

    def _make_outputs_safe(self) -> None:
        """Drive every granted output to its safe level: until then its pin floats."""
        for output in enabled_outputs(self._config):
            level = output.is_safe_high
            try:
                self._hardware.gpio.drive(output.pin, high=level, safe_high=level)
            except HarvesterError as e:
                logger.error("%s", e)  # noqa: TRY400 - says it all

    def _tap_display(self) -> DisplayTap | None:
        """Follow the node's display; of several, the first that the configuration names."""
        addresses = self._config.hardware.ssd1306_addresses
        if not addresses:
            return None
        return DisplayTap(int(addresses[0], 16), self._hardware.i2c_transfer)

    def _make_buzzer(self) -> BuzzerPlayer | None:
        buzzer = self._config.buzzer
        if buzzer is None:
            return None
        return BuzzerPlayer(
            lambda on: self._hardware.set_relay(Relay.BUZZER, on=on),
            lambda state: self._bus.publish(TopicKind.BUZZER, state),
            buzzer.longest_on_ms,
        )

    def _make_fan(self) -> FanControl | None:
        if self._config.fan is None:
            return None
        return FanControl(
            lambda on: self._hardware.set_relay(Relay.FAN, on=on),
            lambda state: self._bus.publish(TopicKind.FAN, state),
        )

    def _grant(self, plugin: str) -> Grant:
        return self._config.plugins.grants.get(plugin, Grant())

    def _make_runner(self, name: str, parts: NodeParts, runtime: Runtime) -> PluginRunner:
        grant, store, settings = self._grant(name), self._stores.get(name), self._settings[name]
        delivery = self._deliveries.of_plugin[name]
        plugin = PluginParts(
            name=name,
            runtime=runtime,
            refuse=lambda interfaces: grants.missing(name, interfaces, grant),
            make_imports=partial(host_imports, name, grant, parts, store),
            effects=EffectParts(
                *(name, grant, self._hardware, parts.pin_users),
                claim=partial(self._owners.claim, name),
                publish=self._bus.publish_event,
            ),
            feed=self._view.as_json,
            on_samples=partial(self._publish_samples, name),
            save_state=self._saver.save_soon,
            owners=self._owners,
            settings=settings,
            darken=partial(darken, name, grant, parts),
            admit=delivery.admit,
            flight=self._flight_parts(name),
        )
        return PluginRunner(
            plugin,
            partial(plugin_file, self._config.plugins, name),
            lambda state: self._bus.publish(TopicKind.PLUGIN, state, name),
            is_enabled=name not in self._disabled,
            delivery=delivery,
        )

    def _flight_parts(self, name: str) -> FlightParts | None:
        limit_bytes = self._config.plugins.record_kb * 1024
        if not limit_bytes:
            return None
        return FlightParts(self._config.cluster.node_id, name, limit_bytes, self._records)

    def _publish_samples(self, plugin: str, found: Sequence[Sample], described: Fields) -> None:
        self._descriptions.hear(plugin, described, [(s.sensor_id, s.data) for s in found])
        self._bus.publish_readings(found, plugin)

    def _publish_result(self, actuator: str, result: Result) -> None:
        self._bus.publish(TopicKind.RESULT, result, actuator)

    def _executors(self) -> dict[str, Execute]:
        return {
            "buzzer": buzzer_command(self._config.cluster.node_id, self._buzzer),
            "fan": fan_command(self._config.cluster.node_id, self._fan),
            "leds": leds_command(self._leds),
            "names": self._descriptions.name_command,
            "plugins": plugin_command(
                self._runners, self._disabled, self._descriptions.settings_changed
            ),
            "update": self._update.command,
        }

    def _actuator_words(self) -> dict[str, list[str]]:
        """Return the actuators that this node has, with the words and keys of their commands."""
        has = {
            "buzzer": self._buzzer is not None,
            "fan": self._fan is not None,
            "leds": self._config.leds.count > 0,
        }
        return {name: words for name, words in commands.WORDS.items() if has.get(name, True)}

    # The bus client's thread runs this.
    def _handle_message(self, topic: Topic, payload: bytes) -> None:
        if topic.kind is TopicKind.COMMAND:
            self._actuators.submit(topic.name, payload)
            return
        if topic.kind is TopicKind.BUNDLE:
            self._deliveries.submit(topic, payload)
            return
        try:
            self._view.hear(topic, payload)
        except BadDataError as e:
            logger.debug("ignored a message: %s", e)


def _filters(node: str) -> list[str]:
    return [
        topic_filter(TopicKind.COMMAND, node),
        topic_filter(TopicKind.BUNDLE, node),
        topic_filter(TopicKind.READING),
        topic_filter(TopicKind.SENSOR),
        topic_filter(TopicKind.STATUS),
    ]
