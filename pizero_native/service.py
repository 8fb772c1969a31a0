"""The light service of a Pi Zero 2W: sensors, own health and pings on the bus, no plugin host.

It imports neither wasmtime nor amqtt nor starlette: the machine has 416 MB.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import msgspec

from bus import struct_types
from bus.config.directories import state_dir
from bus.config.settings import Config
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
from pizero_native.air import AirSensor, id_of
from pizero_native.native_plugins import AIR, HEALTH, NativePlugin
from pizero_native.pings import Pings
from pizero_native.publisher import Publisher
from pizero_native.recent_log import RecentLog
from pizero_native.web import Web
from plugins.bme680.air_settings import AirSettings

logger = logging.getLogger(__name__)

# Waits so many seconds; returns whether the service was asked to stop meanwhile.
StopWithin = Callable[[float], bool]


def run(config: Config, stop_within: StopWithin) -> None:
    """Serve until `stop_within` says to stop.

    Raises MisconfiguredError where a person has to change the configuration or the machine.
    """
    struct_types.prepare()
    with RecentLog() as logs:
        with _log_misconfiguration():
            publisher = _open_publisher(config)
        # Logged while the bus is still open, so that the page shows why the node is gone.
        with publisher, _log_misconfiguration():
            _serve(config, publisher, logs, stop_within)


def _open_publisher(config: Config) -> Publisher:
    """Return the end of the bus, with the plugins whose work the service does."""
    state = state_dir(config, os.environ)
    air = [id_of(address) for address in config.sensors.bme680_addresses]
    plugins = {
        AIR: NativePlugin(AIR, config, state, air),
        HEALTH: NativePlugin(HEALTH, config, state, [own_health.SENSOR_ID]),
    }
    return Publisher(config, plugins)


@contextmanager
def _log_misconfiguration() -> Iterator[None]:
    """Log an error that a person has to correct."""
    try:
        yield
    except MisconfiguredError as e:
        logger.error("%s", e)  # noqa: TRY400 - a traceback tells its reader nothing more
        raise


def _serve(config: Config, publisher: Publisher, logs: RecentLog, stop_within: StopWithin) -> None:
    store = PluginStore(state_dir(config, os.environ) / "pizero-native.json")
    with closing(open_hardware(config)) as hardware:
        node = Node(config, hardware, publisher, store)
        with (
            StateSaver([store, publisher.descriptions]),
            Web(config.web, node.health, logs),
            Pings(config.pings, publisher.publish_ping),
        ):
            node.run(stop_within, ServiceManager(os.environ))


class Node:
    """The cycle: every sensor, then the machine's own health, then the heartbeat."""

    def __init__(
        self, config: Config, hardware: Hardware, publisher: Publisher, store: PluginStore
    ) -> None:
        self._config = config
        self._publisher = publisher
        air = publisher.plugins[AIR]
        self._sensors = [
            AirSensor(hardware, address, store, partial(_air_settings, air, address))
            for address in config.sensors.bme680_addresses
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
            self._publisher.bus.heartbeat(
                cycle_ms=(ended_s - began_s) * 1000, rss_mb=system.rss_mb()
            )
            self._publisher.update.publish_changed()
            service.show(self._publisher.bus.vital_signs(faults=len(self._faults())))
            service.keep_alive()
            now_s = time.monotonic()
            wait_s = next_due(now_s, self._start_s, interval_s) - now_s
            stopped = service.wait(wait_s, stop_within)
        service.stopping()

    def health(self) -> dict[str, Any]:
        """Return how this node is, for `GET /health`. Any thread may call."""
        faults = self._faults()
        return {
            "status": "ok" if self._publisher.bus.connected and not faults else "degraded",
            "node": self._config.cluster.node_id,
            "version": VERSION,
            "uptime_s": round(time.monotonic() - self._start_s, 3),
            "rss_mb": round(system.rss_mb(), 1),
            "bus_connected": self._publisher.bus.connected,
            "sensors": [sensor.sensor_id for sensor in self._sensors],
            "faults": faults,
        }

    def _faults(self) -> dict[str, str]:
        return {name: why for sensor in self._sensors for name, why in sensor.faults.items()}

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
                self._publisher.publish(AIR, sensor.sensor_id, data)
        self._publisher.publish(HEALTH, own_health.SENSOR_ID, self._own_health.sample())


def _air_settings(plugin: NativePlugin, address: str) -> AirSettings:
    return msgspec.convert(plugin.values(id_of(address)), AirSettings)
