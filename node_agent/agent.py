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
from pathlib import Path

from bus import struct_types
from bus.client.node import NodeBus
from bus.config import directories
from bus.config.settings import Config, i2c_users, pin_users
from bus.contract.description import Fields
from bus.contract.messages import Fan, Result
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.errors import BadDataError, HarvesterError
from bus.install.vital_signs import VitalSigns
from bus.outbox.outbox import Sample
from bus.service_manager import ServiceManager
from node_agent.actuators import display_picture, safe_state
from node_agent.actuators.actuators import (
    Actuators,
)
from node_agent.actuators.buzzer import SILENT, BuzzerPlayer
from node_agent.actuators.display_picture import DisplayPicture
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.actuators.strip import Strip, has_heartbeat
from node_agent.commands import actuator_words, executors
from node_agent.descriptions.node import NodeDescriptions
from node_agent.descriptions.update import MachineUpdate
from node_agent.hal import system
from node_agent.hal.capabilities import Hardware, Relay
from node_agent.plugins import grants
from node_agent.plugins.bus_view import BusView
from node_agent.plugins.node_plugins import NodePlugins
from node_agent.plugins.state_saver import StateSaver
from node_agent.plugins.supervisor.reports import PluginReports
from node_agent.plugins.wit_imports import NodeParts
from node_agent.sandbox.runtime import Runtime
from node_agent.schedule import next_due

logger = logging.getLogger(__name__)

# Fraction of a cycle after which the strip is written without waiting for more polls.
_POLL_SHARE = 0.8
_STOP_S = 2.0


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
        self._bus = NodeBus(
            config,
            filters=_filters(config.cluster.node_id),
            on_message=self._handle_message,
            on_connect=self._connected.set,
        )
        self._buzzer = self._make_buzzer()
        self._fan = self._make_fan()
        display = display_picture.tap(config, hardware)
        self._picture = DisplayPicture(display, self._bus)
        self._plugins = NodePlugins(config, state_dir, self._bus)
        self._deliveries, self._records = self._plugins.deliveries, self._plugins.records
        self._strip = Strip(
            *(self._leds, config.leds.count, hardware, self._bus),
            has_heartbeat=has_heartbeat(self._plugins.owned_leds),
        )
        parts = NodeParts(
            hardware,
            self._leds,
            self._buzzer,
            self._fan,
            display,
            tuple(config.sensors.dht22_pins),
            tuple(config.hardware.ssd1306_addresses),
            pin_users(config),
            i2c_users(config),
            self._view,
        )
        self._descriptions = NodeDescriptions(
            config,
            self._bus,
            state_dir,
            actuators=actuator_words(config),
            plugins={name: of.resolved for name, of in self._plugins.settings.items()},
            bundle_key=self._bus.bundle_key,
            no_bundles=self._deliveries.refusal_of_new("bundle"),
            no_components=self._deliveries.refusal_of_new("component"),
        )
        self._update = MachineUpdate(self._bus, directories.runtime_dir(config, os.environ))
        self._saver = StateSaver(
            [self._plugins.owners, self._descriptions, *self._plugins.stores.values()]
        )
        self._runners = self._plugins.runners(parts, runtime, self._saver, self._publish_samples)
        self._reports = PluginReports(self._bus, self._runners)
        execute = executors(
            config.cluster.node_id,
            buzzer=self._buzzer,
            fan=self._fan,
            leds=self._leds,
            descriptions=self._descriptions,
            runners=self._runners,
            disabled=self._plugins.disabled,
            update=self._update,
        )
        self._actuators = Actuators(config.cluster.node_id, execute, self._publish_result)

    def stop(self) -> None:
        """Let `run` return after the current cycle. Any thread or signal handler may call."""
        self._stopping.set()

    def run(self) -> None:
        """Run cycles at a fixed rate until stopped, then leave everything in its safe state."""
        struct_types.prepare()
        interval_s = self._config.polling.interval_seconds
        for sentence in grants.unread_sensors(self._config):
            logger.warning("%s", sentence)
        with ExitStack() as stack:
            stack.enter_context(self._bus)
            stack.callback(self._release_hardware)
            present = {Relay.BUZZER: self._buzzer, Relay.FAN: self._fan}
            safe_state.release_relays(
                self._hardware, [relay for relay, control in present.items() if control is not None]
            )
            safe_state.make_outputs_safe(self._hardware, self._config)
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
        self._strip.toggle_heartbeat(self._cycles)
        for runner in self._runners:
            runner.run_cycle(now_s)
        deadline_s = now_s + _POLL_SHARE * self._config.polling.interval_seconds
        for runner in self._runners:
            self._service.wait(deadline_s - time.monotonic(), runner.wait_idle)
        self._strip.write()
        picture_has_changed = self._picture.has_changed()
        if self._connected.is_set():
            self._connected.clear()
            self._publish_all_states()
        elif picture_has_changed:
            self._picture.publish()
        self._update.publish_changed()
        self._deliveries.publish_changed()
        self._records.send_waiting()
        self._reports.publish_due(now_s)
        self._bus.heartbeat(cycle_ms=(time.monotonic() - now_s) * 1000, rss_mb=system.rss_mb())
        self._cycles += 1

    def _vital_signs(self) -> VitalSigns:
        phases = [runner.phase for runner in self._runners]
        return self._bus.vital_signs(faults=phases.count("failed"), loading=phases.count("loading"))

    def _publish_all_states(self) -> None:
        """Publish every retained state after a connection: the broker may have lost them."""
        self._descriptions.publish_all()
        self._update.publish_all()
        self._deliveries.publish_all()
        self._records.connected()
        self._reports.publish_shadows(time.monotonic(), again=True)
        for runner in self._runners:
            runner.publish_state(again=True)
        self._strip.publish()
        self._picture.publish()
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
        self._strip.darken()
        if self._buzzer is not None:
            self._bus.publish(TopicKind.BUZZER, SILENT)
        if self._fan is not None:
            self._bus.publish(TopicKind.FAN, Fan(on=False, mode="auto"))

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

    def _publish_samples(self, plugin: str, found: Sequence[Sample], described: Fields) -> None:
        self._descriptions.hear(plugin, described, [(s.sensor_id, s.data) for s in found])
        self._bus.publish_readings(found, plugin)

    def _publish_result(self, actuator: str, result: Result) -> None:
        self._bus.publish(TopicKind.RESULT, result, actuator)

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
