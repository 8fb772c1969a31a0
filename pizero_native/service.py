"""The light service of a Pi Zero 2W: sensors, own health and pings on the bus, no plugin host.

It imports neither wasmtime nor amqtt nor starlette: the machine has 416 MB.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from bus.client.node import NodeBus
from bus.clock import now_ms
from bus.config.directories import state_dir
from bus.config.settings import Config
from bus.contract import commands
from bus.contract.description import Fields
from bus.contract.topics import Topic, TopicKind, topic_filter
from bus.errors import MisconfiguredError
from bus.install.version import VERSION
from bus.service_manager import ServiceManager
from node_agent.descriptions.node import NodeDescriptions
from node_agent.descriptions.sensors import as_described
from node_agent.hal import system
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import Hardware
from node_agent.plugins.state_saver import StateSaver
from node_agent.plugins.store import PluginStore
from node_agent.schedule import next_due
from pizero_native import fields, own_health
from pizero_native.air import AirSensor
from pizero_native.commands import Commands
from pizero_native.pings import Pings
from pizero_native.recent_log import RecentLog
from pizero_native.web import Web

logger = logging.getLogger(__name__)

_NAMES = "names"
# The plugin of the service's sensors.
_NO_PLUGIN = ""

# Waits so many seconds; returns whether the service was asked to stop meanwhile.
StopWithin = Callable[[float], bool]


def run(config: Config, stop_within: StopWithin) -> None:
    """Serve until `stop_within` says to stop.

    Raises MisconfiguredError where a person has to change the configuration or the machine.
    """
    with RecentLog() as logs:
        with _log_misconfiguration():
            bus, descriptions = _open_bus(config)
        # Logged while the bus is still open, so that the page shows why the node is gone.
        with bus, _log_misconfiguration():
            _serve(config, bus, descriptions, logs, stop_within)


def _open_bus(config: Config) -> tuple[NodeBus, NodeDescriptions]:
    """Return the node's end of the bus, on which every command is answered, and descriptions."""
    node = config.cluster.node_id

    # These run once the bus is entered, when all exist.
    def handle(topic: Topic, payload: bytes) -> None:
        answers.handle(topic, payload)

    def handle_connect() -> None:
        descriptions.publish_all()

    bus = NodeBus(
        config,
        filters=[topic_filter(TopicKind.COMMAND, node)],
        on_message=handle,
        on_connect=handle_connect,
    )
    descriptions = NodeDescriptions(
        config,
        bus,
        state_dir(config, os.environ),
        actuators={_NAMES: commands.WORDS[_NAMES]},
        plugins={_NO_PLUGIN: as_described},
    )
    answers = Commands(
        node,
        descriptions.name_command,
        lambda actuator, result: bus.publish(TopicKind.RESULT, result, actuator),
    )
    return bus, descriptions


@contextmanager
def _log_misconfiguration() -> Iterator[None]:
    """Log an error that a person has to correct."""
    try:
        yield
    except MisconfiguredError as e:
        logger.error("%s", e)  # noqa: TRY400 - a traceback tells its reader nothing more
        raise


def _serve(
    config: Config,
    bus: NodeBus,
    descriptions: NodeDescriptions,
    logs: RecentLog,
    stop_within: StopWithin,
) -> None:
    store = PluginStore(state_dir(config, os.environ) / "pizero-native.json")
    with closing(open_hardware(config)) as hardware:
        node = Node(config, hardware, bus, store, descriptions)
        with (
            StateSaver([store, descriptions]),
            Web(config.web, node.health, logs),
            Pings(config.pings, node.publish_ping),
        ):
            node.run(stop_within, ServiceManager(os.environ))


class Node:
    """The cycle: every sensor, then the machine's own health, then the heartbeat."""

    def __init__(
        self,
        config: Config,
        hardware: Hardware,
        bus: NodeBus,
        store: PluginStore,
        descriptions: NodeDescriptions,
    ) -> None:
        self._config = config
        self._bus = bus
        self._descriptions = descriptions
        self._air_fields = fields.of_plugin("bme680")
        self._health_fields = fields.of_plugin("pizero-monitor")
        self._sensors = [
            AirSensor(hardware, address, store) for address in config.sensors.bme680_addresses
        ]
        self._own_health = own_health.OwnHealth(hardware)
        self._start_s = time.monotonic()

    def run(self, stop_within: StopWithin, service: ServiceManager) -> None:
        """Run cycles at a fixed rate until asked to stop."""
        service.ready()
        interval_s = self._config.polling.interval_seconds
        logger.info("%s %s is up", self._config.cluster.node_id, VERSION)
        stopped = False
        while not stopped:
            began_s = time.monotonic()
            self._poll()
            ended_s = time.monotonic()
            self._bus.heartbeat(cycle_ms=(ended_s - began_s) * 1000, rss_mb=system.rss_mb())
            service.keep_alive()
            now_s = time.monotonic()
            wait_s = next_due(now_s, self._start_s, interval_s) - now_s
            stopped = service.wait(wait_s, stop_within)
        service.stopping()

    def publish_ping(self, sensor_id: str, data: dict[str, Any]) -> None:
        """Publish the outcome of a ping. Any thread may call."""
        self._publish(sensor_id, data, fields.PING, self._config.pings.interval_s)

    def _publish(
        self, sensor_id: str, data: dict[str, Any], described: Fields, interval_s: float
    ) -> None:
        """Publish what was measured just now, and what it is where that is new."""
        self._descriptions.hear(_NO_PLUGIN, described, [(sensor_id, data)], interval_s)
        self._bus.publish_reading(sensor_id, now_ms(), data)

    def health(self) -> dict[str, Any]:
        """Return how this node is, for `GET /health`. Any thread may call."""
        faults = {name: why for s in self._sensors for name, why in s.faults.items()}
        return {
            "status": "ok" if self._bus.connected and not faults else "degraded",
            "node": self._config.cluster.node_id,
            "version": VERSION,
            "uptime_s": round(time.monotonic() - self._start_s, 3),
            "rss_mb": round(system.rss_mb(), 1),
            "bus_connected": self._bus.connected,
            "sensors": [sensor.sensor_id for sensor in self._sensors],
            "faults": faults,
        }

    def _poll(self) -> None:
        interval_s = self._config.polling.interval_seconds
        for sensor in self._sensors:
            try:
                data = sensor.sample()
            except MisconfiguredError:
                raise
            except Exception as e:  # noqa: BLE001 - logged by the fault, once, with its traceback
                sensor.fault.failed(f"unexpected {e!r}", traceback=True)
                continue
            if data is not None:
                self._publish(sensor.sensor_id, data, self._air_fields, interval_s)
        health = self._own_health.sample()
        self._publish(own_health.SENSOR_ID, health, self._health_fields, interval_s)
