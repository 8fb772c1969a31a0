"""Descriptions of the sensors of the shipped configuration, for pages and metrics."""

from bus.contract.description import FieldDescription, SensorDescription
from harvester.plugins import manifest
from pizero_native.fields import PING
from tests.support import PROJECT

__all__ = ["AIR", "HEALTH", "MONITORS", "PING", "ROOM", "description_of"]


def _of_plugin(name: str) -> dict[str, FieldDescription]:
    return manifest.read(PROJECT / "plugins" / name / "plugin.toml").description.fields


ROOM = _of_plugin("dht22")
AIR = _of_plugin("bme680")
MONITORS = {name: _of_plugin(name) for name in ("pi4-monitor", "pizero-monitor", "revpi-monitor")}
HEALTH = MONITORS["pi4-monitor"]
_BY_KIND = {"dht22": ROOM, "bme680": AIR, "monitor": HEALTH, "ping": PING}


def description_of(sensor: str, title: str = "", area: str = "") -> SensorDescription:
    """Return what a node publishes of a sensor of the shipped configuration."""
    fields = next(fields for kind, fields in _BY_KIND.items() if kind in sensor)
    return SensorDescription(sensor.partition("-")[0], title, area, 2.0, fields)
