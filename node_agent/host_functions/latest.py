"""Newest reading of any sensor on the bus, within a plugin's grant."""

from bus.config.grant_table import Grant, may_read
from bus.contract.topics import is_name
from bus.errors import BadDataError, MisconfiguredError
from node_agent.plugins import grants
from node_agent.plugins.bus_view import BusView


def latest_reading(plugin: str, grant: Grant, view: BusView, sensor: str) -> str | None:
    """Return the reading of `NODE:SENSOR` as JSON, None where none has come.

    Raises BadDataError where `sensor` is no such id, MisconfiguredError where it is not granted.
    """
    node, _, name = sensor.partition(":")
    if not (is_name(node) and is_name(name)):
        raise BadDataError(
            f"readings.latest: sensor: found {sensor[:80]!r}, expected NODE:SENSOR, for example "
            "pi4:dht22-gpio4"
        )
    if not may_read(grant, node, name):
        raise MisconfiguredError(grants.refusal(plugin, f'readings = ["{sensor}"]'))
    return view.latest(node, name)
