"""Simulated DHT22 at bit level: forty bits with their checksum."""

from collections.abc import Callable

from node_agent.hal.capabilities import Climate
from node_agent.hal.errors import BadDeviceDataError
from node_agent.hal.simulated.wire import Wire

_SIGN = 0x8000


class SimulatedDht22:
    """One sensor. `climate(t)` is the air around it at time t of the scenario, in s."""

    def __init__(
        self, wire: Wire, climate: Callable[[float], Climate], clock: Callable[[], float]
    ) -> None:
        self._wire = wire
        self._climate = climate
        self._clock = clock

    def read_wire(self) -> Climate:
        self._wire.begin_transfer()
        climate = self._climate(self._wire.measured_time_s(self._clock()))
        received = self._wire.transmit(sent_bytes(climate))
        return decoded(received, self._wire.device)


def sent_bytes(climate: Climate) -> bytes:
    """Return the sensor's answer: tenths, the sign apart, a sum (datasheet AM2302, section 7)."""
    tenths = round(abs(climate.temperature_c) * 10) | (_SIGN if climate.temperature_c < 0 else 0)
    data = round(climate.humidity_pct * 10).to_bytes(2, "big") + tenths.to_bytes(2, "big")
    return data + bytes((sum(data) & 0xFF,))


def decoded(data: bytes, device: str) -> Climate:
    """Return what the five bytes of `device` mean; raise BadDeviceDataError on a wrong checksum."""
    if sum(data[:4]) & 0xFF != data[4]:
        raise BadDeviceDataError(f"{device}: wrong checksum in {data.hex(' ')}")
    humidity, temperature = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    sign = -1 if temperature & _SIGN else 1
    return Climate(sign * (temperature & ~_SIGN) / 10, humidity / 10)
