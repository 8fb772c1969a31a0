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
from bus.contract.topics import TopicKind, topic_filter
from bus.errors import MisconfiguredError
from bus.install.version import VERSION
from bus.service_manager import ServiceManager
from node_agent.hal import system
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import Hardware
from node_agent.plugins.state_saver import StateSaver
from node_agent.plugins.store import PluginStore
from node_agent.schedule import next_due
from pizero_native import own_health
from pizero_native.air import AirSensor
from pizero_native.commands import CommandRefusal
from pizero_native.pings import Pings
from pizero_native.recent_log import RecentLog
from pizero_native.web import Web

logger = logging.getLogger(__name__)

# Waits so many seconds; returns whether the service was asked to stop meanwhile.
StopWithin = Callable[[float], bool]


def run(config: Config, stop_within: StopWithin) -> None:
    """Serve until `stop_within` says to stop.

    Raises MisconfiguredError where a person has to change the configuration or the machine.
    """
    with RecentLog() as logs:
        with _log_misconfiguration():
            bus = _open_bus(config)
        # Logged while the bus is still open, so that the page shows why the node is gone.
        with bus, _log_misconfiguration():
            _serve(config, bus, logs, stop_within)


def _open_bus(config: Config) -> NodeBus:
    """Return the node's end of the bus, on which every command is answered."""
    node = config.cluster.node_id
    refusal = CommandRefusal(
        node, lambda actuator, result: bus.publish(TopicKind.RESULT, result, actuator)
    )
    bus = NodeBus(
        config,
        filters=[topic_filter(TopicKind.COMMAND, node)],
        on_message=refusal.handle,
    )
    return bus


@contextmanager
def _log_misconfiguration() -> Iterator[None]:
    """Log an error that a person has to correct."""
    try:
        yield
    except MisconfiguredError as e:
        logger.error("%s", e)  # noqa: TRY400 - a traceback tells its reader nothing more
        raise


def _serve(config: Config, bus: NodeBus, logs: RecentLog, stop_within: StopWithin) -> None:
    store = PluginStore(state_dir(config, os.environ) / "pizero-native.json")
    with closing(open_hardware(config)) as hardware:
        node = Node(config, hardware, bus, store)
        with (
            StateSaver([store]),
            Web(config.web, node.health, logs),
            Pings(config.pings, node.publish),
        ):
            node.run(stop_within, ServiceManager(os.environ))


class Node:
    """The cycle: every sensor, then the machine's own health, then the heartbeat."""

    def __init__(
        self, config: Config, hardware: Hardware, bus: NodeBus, store: PluginStore
    ) -> None:
        self._config = config
        self._bus = bus
        self._sensors = [
            AirSensor(hardware, address, store) for address in config.sensors.bme680_addresses
        ]
        self._own_health = own_health.OwnHealth(hardware.cpu_temperature_c)
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

    def publish(self, sensor_id: str, data: dict[str, Any]) -> None:
        """Publish what was measured just now. Any thread may call."""
        self._bus.publish_reading(sensor_id, now_ms(), data)

    def health(self) -> dict[str, Any]:
        """Return how this node is, for `GET /health`. Any thread may call."""
        faults = {s.sensor_id: s.fault.reason for s in self._sensors if s.fault.reason}
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
        for sensor in self._sensors:
            try:
                data = sensor.sample()
            except MisconfiguredError:
                raise
            except Exception as e:  # noqa: BLE001 - logged by the fault, once, with its traceback
                sensor.fault.failed(f"unexpected {e!r}", traceback=True)
                continue
            if data is not None:
                self.publish(sensor.sensor_id, data)
        self.publish(own_health.SENSOR_ID, self._own_health.sample())
