"""One attempt to read a real DHT22, through adafruit_dht."""

from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real import library

# What adafruit_dht 4.0 says where nothing came back at all; its other errors are of garbled bits.
_NOT_FOUND = "not found"


def read_wire(pin: int) -> Climate:
    """Read the sensor on BCM `pin` once; that takes 0.35 s."""
    adafruit_dht = library.load("adafruit_dht")
    # A fresh object, since one that failed repeats what it read before for 2 s, without an error.
    # Without pulseio, since that leaves a process behind that keeps the pin.
    sensor = adafruit_dht.DHT22(_board_pin(pin), use_pulseio=False)
    try:
        sensor.measure()
        temperature_c, humidity_pct = sensor.temperature, sensor.humidity
    except RuntimeError as e:
        kind = DeviceUnavailableError if _NOT_FOUND in str(e) else BadDeviceDataError
        raise kind(f"the DHT22 at gpio{pin}: {e}") from e
    except OSError as e:
        raise DeviceUnavailableError(f"the DHT22 at gpio{pin}: {e.strerror or e}") from e
    finally:
        sensor.exit()
    if temperature_c is None or humidity_pct is None:
        raise DeviceUnavailableError(f"no answer from the DHT22 at gpio{pin}")
    return Climate(float(temperature_c), float(humidity_pct))


def _board_pin(pin: int) -> object:
    found: object = getattr(library.load("board"), f"D{pin}", None)
    if found is None:
        raise HardwareNotInstalledError(f"this machine has no gpio{pin}")
    return found
