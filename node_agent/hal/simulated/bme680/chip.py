"""Simulated BME680 at register level (datasheet BST-BME680-DS001, section 5).

It measures in forced mode only and takes the time that the real one takes. Writing two registers
takes address and value of each (section 6.2.1): only reads count up.
"""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from node_agent.hal.simulated.bme680 import physics
from node_agent.hal.simulated.bme680.physics import Air, Calibration
from node_agent.hal.simulated.bme680.registers import calibration_of, calibration_registers

CHIP_ID = 0x61
VARIANT_LOW_GAS = 0x00
VARIANT_HIGH_GAS = 0x01
SOFT_RESET_COMMAND = 0xB6

_STATUS = 0x1D
_PRESSURE = 0x1F
_TEMPERATURE = 0x22
_HUMIDITY = 0x25
_GAS = 0x2A
_FIELD = range(_STATUS, _GAS + 4)
_RES_HEAT = 0x5A
_GAS_WAIT = 0x64
_CTRL_GAS_0 = 0x70
_CTRL_GAS_1 = 0x71
_CTRL_HUM = 0x72
_CTRL_MEAS = 0x74
_CONFIG = 0x75
_ID = 0xD0
_RESET = 0xE0
_VARIANT = 0xF0
_WRITABLE = frozenset((*range(0x50, 0x6F), *range(_CTRL_GAS_0, _CONFIG + 1)))

_NEW_DATA = 0x80
_GAS_MEASURING = 0x40
_MEASURING = 0x20
_GAS_VALID = 0x20
_HEATER_STABLE = 0x10
_HEATER_OFF = 0x08
_MODE = 0x03
_FORCED = 0x01

# A skipped measurement reads as this (section 5.3.4), and so do the fields after a reset.
_SKIPPED_20_BIT = 0x80000
_SKIPPED_16_BIT = 0x8000

# Durations in s as Bosch's own driver has them: wake-up, one conversion, switching, gas.
_WAKE_UP_S = 0.001
_CONVERSION_S = 0.001963
_SWITCHING_S = 4 * 0.000477
_GAS_CONVERSION_S = 5 * 0.000477
# Section 3.3.5: the plate takes 20 to 30 ms to get hot, and 200 to 400 degC are its working range.
# Set points are coarse and the ambient is a guess, so the band here is somewhat wider.
_HEAT_UP_S = 0.030
_WORKING_RANGE_C = (150.0, 450.0)


class _Variant(NamedTuple):
    run_gas: int
    gas_register: int
    compensation: Callable[[Calibration, float, int], float]


class _Measurement(NamedTuple):
    """A measurement in progress: begin and end of its parts, on the chip's clock, in s."""

    begun_s: float
    gas_from_s: float
    done_s: float


# By variant: the bit that runs the gas measurement, the register of its result, and the formula.
# The BME688 has the high-gas variant; a register image can make this chip one.
_VARIANTS = {
    VARIANT_LOW_GAS: _Variant(0x10, _GAS, physics.gas_ohm),
    VARIANT_HIGH_GAS: _Variant(0x20, _GAS + 2, physics.gas_high_ohm),
}


class SimulatedBme680:
    """One chip. `air(t)` is the air around it at time t of `clock`, in s.

    `image` holds raw bytes by register address, which replace the chip's registers after a reset
    and its results. With `clears_new_data` a read of the status register clears the flag: the
    datasheet leaves that open. `on_measured` is called with each measurement at the next access
    to the chip, with its age in s.
    """

    def __init__(  # noqa: PLR0913 - each is one property of the chip
        self,
        air: Callable[[float], Air],
        clock: Callable[[], float],
        *,
        calibration: Calibration | None = None,
        image: Mapping[int, bytes] | None = None,
        clears_new_data: bool = True,
        chip_id: Callable[[], int] = lambda: CHIP_ID,
        on_measured: Callable[[Mapping[str, float]], None] = lambda _: None,
    ) -> None:
        self._air = air
        self._clock = clock
        self._burnt_in = calibration_registers(calibration or Calibration())
        self._image = _by_register(image or {})
        self._clears_new_data = clears_new_data
        self._chip_id = chip_id
        self._on_measured = on_measured
        self._lock = threading.Lock()
        self.power_on()

    def power_on(self) -> None:
        """Forget everything, as at power-on and after a soft reset."""
        self._registers = bytearray(256)
        for address, data in self._burnt_in.items():
            self._registers[address : address + len(data)] = data
        self._registers[_VARIANT] = VARIANT_LOW_GAS
        self._store_temperature_pressure(_SKIPPED_20_BIT, _SKIPPED_20_BIT)
        self._store(_HUMIDITY, _SKIPPED_16_BIT, 2)
        self._overlay(range(256))
        self._calibration = calibration_of(self._registers)
        self._registers[_STATUS] &= ~_NEW_DATA & 0xFF
        self._pointer = 0
        self._running: _Measurement | None = None
        # The filter's memory by channel: temperature, pressure.
        self._filtered: dict[int, float] = {}

    def write(self, data: bytes) -> None:
        """Take the bytes of one write transaction: register and value in turn."""
        with self._lock:
            self._progress()
            for register, value in zip(data[::2], data[1::2], strict=False):
                self._write_register(register, value)
            if len(data) % 2:
                self._pointer = data[-1]

    def read(self, read_len: int) -> bytes:
        """Return `read_len` registers from the one that was written last, counting up."""
        with self._lock:
            self._progress()
            addresses = [(self._pointer + i) % 256 for i in range(read_len)]
            answer = bytes(self._read_register(address) for address in addresses)
            if self._clears_new_data and _STATUS in addresses:
                self._registers[_STATUS] &= ~_NEW_DATA & 0xFF
            return answer

    def _read_register(self, address: int) -> int:
        if address == _ID and _ID not in self._image:
            return self._chip_id()
        return self._registers[address]

    def _write_register(self, register: int, value: int) -> None:
        if register == _RESET and value == SOFT_RESET_COMMAND:
            self.power_on()
        elif register in _WRITABLE:
            self._registers[register] = value
            if register == _CTRL_MEAS and value & _MODE == _FORCED and self._running is None:
                self._start()

    def _start(self) -> None:
        registers = self._registers
        conversions = sum(map(_samples, (self._osrs_t, self._osrs_p, self._osrs_h)))
        begun_s = self._clock()
        gas_from_s = begun_s + _WAKE_UP_S + conversions * _CONVERSION_S + _SWITCHING_S
        gas_s = self._gas_wait_s() + _GAS_CONVERSION_S if self._runs_gas else 0.0
        self._running = _Measurement(begun_s, gas_from_s, gas_from_s + gas_s)
        # The new-data flag of the measurement before stays until it is read or replaced.
        registers[_STATUS] = registers[_STATUS] & _NEW_DATA | _MEASURING | self._profile

    def _progress(self) -> None:
        """Advance the chip to the present time."""
        running, now_s = self._running, self._clock()
        if running is None:
            return
        if now_s >= running.done_s:
            self._running = None
            self._finish(self._air(running.done_s), now_s - running.begun_s)
        elif now_s >= running.gas_from_s:
            self._registers[_STATUS] |= _GAS_MEASURING

    def _finish(self, air: Air, age_s: float) -> None:
        self._measure_temperature_pressure(air)
        self._measure_gas(air)
        self._registers[_CTRL_MEAS] &= ~_MODE & 0xFF
        self._registers[_STATUS] = _NEW_DATA | self._profile
        self._overlay(_FIELD)
        self._on_measured(self._measured(air) | {"age_s": round(age_s, 3)})

    def _measured(self, air: Air) -> dict[str, float]:
        """Return the fields of `air` that were measured: gas only where it was enabled."""
        fields = {name: getattr(air, name) for name in air.__struct_fields__}
        if not self._runs_gas:
            del fields["gas_ohm"]
        return fields

    def _measure_temperature_pressure(self, air: Air) -> None:
        """Convert `air`: the codes that the compensation turns back into it."""
        cal = self._calibration
        temperature = self._resolve(
            0, physics.temperature_adc(cal, air.temperature_c), self._osrs_t
        )
        # Pressure and humidity are compensated with the temperature that was measured.
        t_c = physics.temperature_c(cal, temperature)
        pressure = physics.pressure_adc(cal, air.pressure_hpa * 100, t_c)
        humidity = physics.humidity_adc(cal, air.humidity_pct, t_c)
        self._store_temperature_pressure(
            temperature if self._osrs_t else _SKIPPED_20_BIT,
            self._resolve(1, pressure, self._osrs_p) if self._osrs_p else _SKIPPED_20_BIT,
        )
        self._store(_HUMIDITY, humidity if self._osrs_h else _SKIPPED_16_BIT, 2)

    def _resolve(self, channel: int, adc: int, osrs: int) -> int:
        """Return `adc` as the filter, or its absence, leaves it (sections 3.3.4 and 5.3.4.1)."""
        coefficient = (1 << (self._registers[_CONFIG] >> 2 & 7)) - 1
        if not coefficient:
            return _resolved(adc, osrs)
        last = self._filtered.get(channel, float(adc))
        self._filtered[channel] = (last * coefficient + adc) / (coefficient + 1)
        return round(self._filtered[channel])

    def _measure_gas(self, air: Air) -> None:
        variant = self._variant
        gas_register = variant.gas_register
        if not self._runs_gas:
            self._registers[gas_register + 1] &= ~(_GAS_VALID | _HEATER_STABLE) & 0xFF
            return
        adc, gas_range = physics.gas_adc(self._calibration, air.gas_ohm, variant.compensation)
        stable = _HEATER_STABLE if self._heats(air.temperature_c) else 0
        self._registers[gas_register] = adc >> 2
        self._registers[gas_register + 1] = (adc & 3) << 6 | _GAS_VALID | stable | gas_range

    def _heats(self, ambient_c: float) -> bool:
        """Return whether the plate reaches its working range within its heating time."""
        res_heat = self._registers[_RES_HEAT + self._profile]
        if self._registers[_CTRL_GAS_0] & _HEATER_OFF or not res_heat:
            return False
        low_c, high_c = _WORKING_RANGE_C
        reached_c = physics.heater_c(self._calibration, res_heat, ambient_c)
        return low_c <= reached_c <= high_c and self._gas_wait_s() >= _HEAT_UP_S

    def _gas_wait_s(self) -> float:
        """Section 5.3.3.3: 6 bits of ms, 2 bits of a factor 1, 4, 16 or 64."""
        code = self._registers[_GAS_WAIT + self._profile]
        return (code & 0x3F) * (1 << 2 * (code >> 6)) / 1000

    @property
    def _profile(self) -> int:
        """The heater profile, 0 to 9 (`nb_conv`)."""
        return min(self._registers[_CTRL_GAS_1] & 0x0F, 9)

    @property
    def _runs_gas(self) -> bool:
        return bool(self._registers[_CTRL_GAS_1] & self._variant.run_gas)

    @property
    def _variant(self) -> _Variant:
        return _VARIANTS.get(self._registers[_VARIANT], _VARIANTS[VARIANT_LOW_GAS])

    @property
    def _osrs_t(self) -> int:
        return self._registers[_CTRL_MEAS] >> 5

    @property
    def _osrs_p(self) -> int:
        return self._registers[_CTRL_MEAS] >> 2 & 7

    @property
    def _osrs_h(self) -> int:
        return self._registers[_CTRL_HUM] & 7

    def _store_temperature_pressure(self, temperature: int, pressure: int) -> None:
        self._store(_PRESSURE, pressure << 4, 3)
        self._store(_TEMPERATURE, temperature << 4, 3)

    def _store(self, address: int, value: int, size: int) -> None:
        self._registers[address : address + size] = value.to_bytes(size, "big")

    def _overlay(self, addresses: range) -> None:
        for address, value in self._image.items():
            if address in addresses:
                self._registers[address] = value


def _by_register(image: Mapping[int, bytes]) -> dict[int, int]:
    return {
        (start + offset) % 256: value
        for start, data in image.items()
        for offset, value in enumerate(data)
    }


def _samples(osrs: int) -> int:
    """Section 5.3.1: 0 skips, 1 to 5 stand for 1, 2, 4, 8 and 16 samples, and so do the rest."""
    return 1 << (min(osrs, 5) - 1) if osrs else 0


def _resolved(adc: int, osrs: int) -> int:
    """Section 5.3.4.1: without the filter, n-fold sampling resolves 16 bits and log2(n) more."""
    unresolved_bits = 5 - max(1, min(osrs, 5))
    return adc >> unresolved_bits << unresolved_bits
