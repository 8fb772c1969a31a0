"""Simulated hardware of a node, wired as its configuration says."""

import math
import time
from collections.abc import Callable, Mapping

from bus.config.settings import Config
from bus.errors import MisconfiguredError
from node_agent.hal.capabilities import Climate, Relay
from node_agent.hal.devices import Board
from node_agent.hal.dht22 import Dht22Sensors
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.bme680.chip import CHIP_ID, SimulatedBme680
from node_agent.hal.simulated.bme680.physics import Air
from node_agent.hal.simulated.dht22 import SimulatedDht22
from node_agent.hal.simulated.gps import SimulatedGps
from node_agent.hal.simulated.i2c_bus import SimulatedI2cBus, Slot
from node_agent.hal.simulated.mcp3008 import SimulatedMcp3008
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.relay import SimulatedRelay
from node_agent.hal.simulated.scenario import Mcp3008, Scenario, Sht31
from node_agent.hal.simulated.sht31 import SimulatedSht31
from node_agent.hal.simulated.spi_bus import SimulatedSpiBus
from node_agent.hal.simulated.ssd1306 import SimulatedSsd1306
from node_agent.hal.simulated.strip import SimulatedStrip
from node_agent.hal.simulated.wire import Wire


class SimulatedBoard(Board):
    """Simulated `Hardware`, with its devices as attributes for tests."""

    def __init__(
        self,
        config: Config,
        scenario: Scenario,
        recorder: Recorder,
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives the scenario's time in s.

        Raises MisconfiguredError where the scenario puts a chip in another one's place.
        """
        world = _World(config, scenario, recorder, clock)
        self.displays: Mapping[int, SimulatedSsd1306] = {
            int(address, 16): SimulatedSsd1306(scenario.seed)
            for address in config.hardware.ssd1306_addresses
        }
        self.strip = SimulatedStrip(config.leds.count, recorder) if config.leds.count else None
        self.relays: Mapping[Relay, SimulatedRelay] = {
            relay: SimulatedRelay(relay, recorder)
            for relay, table in ((Relay.BUZZER, config.buzzer), (Relay.FAN, config.fan))
            if table is not None
        }
        self._recorder = recorder
        self._cpu_c = world.cpu_temperature_c
        super().__init__(
            i2c=world.i2c_bus(self.displays),
            dht22=world.dht22_sensors(),
            spi=world.spi_bus(),
            uart=SimulatedGps(world.wire("uart", config.hardware.uart_device), clock),
            strip=self.strip,
            relays=self.relays,
        )

    def cpu_temperature_c(self) -> float | None:
        temperature_c = self._cpu_c()
        return None if math.isnan(temperature_c) else temperature_c

    def close(self) -> None:
        super().close()
        self._recorder.close()


def open_simulated(config: Config) -> SimulatedBoard:
    """Return the hardware of `config`; its scenario begins now.

    Raises MisconfiguredError where the scenario is wrong or the record can't be written.
    """
    scenario = scenario_file.load(config.hardware.scenario)
    started_s = time.monotonic()
    return SimulatedBoard(
        config,
        scenario,
        Recorder(config.hardware.record_file),
        lambda: time.monotonic() - started_s,
    )


class _World:
    """Devices of one node in a scenario."""

    def __init__(
        self, config: Config, scenario: Scenario, recorder: Recorder, clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._scenario = scenario
        self._recorder = recorder
        self._clock = clock

    def cpu_temperature_c(self) -> float:
        curve = self._scenario.cpu.temperature_c
        return self._scenario.value(curve, "cpu temperature", self._clock())

    def wire(self, device: str, place: str, power_on: Callable[[], None] = lambda: None) -> Wire:
        return Wire(device, place, self._scenario, self._clock, power_on=power_on)

    def i2c_bus(self, displays: Mapping[int, SimulatedSsd1306]) -> SimulatedI2cBus:
        bus = f"i2c-{self._config.hardware.i2c_bus}"
        slots = {
            address: Slot(
                self.wire(f"ssd1306-0x{address:02x}", f"{bus} 0x{address:02x}", display.power_on),
                display,
            )
            for address, display in displays.items()
        }
        for text in self._config.sensors.bme680_addresses:
            slots[int(text, 16)] = self._bme680(f"bme680-{text}", f"{bus} {text}")
        for chip in self._scenario.chips:
            if isinstance(chip, Sht31):
                address = int(chip.address, 16)
                if address in slots:
                    raise self._taken(f"address {chip.address}")
                slots[address] = self._sht31(f"sht31-{chip.address}", f"{bus} {chip.address}")
        return SimulatedI2cBus(bus, slots)

    def spi_bus(self) -> SimulatedSpiBus:
        wire = self.wire("spi", f"spi {self._config.hardware.spi_device}")
        chips = [chip for chip in self._scenario.chips if isinstance(chip, Mcp3008)]
        if len(chips) > 1:
            raise self._taken("the SPI bus")
        return SimulatedSpiBus(wire, self._mcp3008(chips[0], wire).exchange if chips else bytes)

    def dht22_sensors(self) -> Dht22Sensors:
        pins = self._config.sensors.dht22_pins
        sensors = {pin: self._dht22(f"dht22-gpio{pin}", f"gpio{pin}") for pin in pins}
        return Dht22Sensors(pins, lambda pin: sensors[pin].read_wire())

    def _taken(self, place: str) -> MisconfiguredError:
        return MisconfiguredError(
            f"{self._config.hardware.scenario or 'scenario'}: chips: found two at {place}, "
            "expected one"
        )

    def _sht31(self, device: str, place: str) -> Slot:
        wire = self.wire(device, place, lambda: chip.power_on())  # noqa: PLW0108 - made below
        chip = SimulatedSht31(
            lambda t_s: self._climate(device, wire.measured_time_s(t_s)), self._clock
        )
        return Slot(wire, chip)

    def _mcp3008(self, chip: Mcp3008, wire: Wire) -> SimulatedMcp3008:
        def volts(channel: int) -> float:
            if channel >= len(chip.volts):
                return 0.0
            now_s = wire.measured_time_s(self._clock())
            return self._scenario.value(chip.volts[channel], f"spi channel {channel}", now_s)

        return SimulatedMcp3008(volts, chip.reference_v)

    def _bme680(self, device: str, place: str) -> Slot:
        images = {i.device: i.by_address() for i in self._scenario.register_images}
        wire = self.wire(device, place, lambda: chip.power_on())  # noqa: PLW0108 - made below
        chip = SimulatedBme680(
            lambda t_s: self._air(device, wire.measured_time_s(t_s)),
            self._clock,
            image=images.get(device),
            clears_new_data=self._scenario.bme680_clears_new_data,
            chip_id=lambda: wire.current_id(CHIP_ID),
            on_measured=lambda air: self._recorder.record("measurement", device=device, **air),
        )
        return Slot(wire, chip)

    def _dht22(self, device: str, place: str) -> SimulatedDht22:
        def measured(t_s: float) -> Climate:
            climate = self._climate(device, t_s)
            self._recorder.record("measurement", device=device, **climate._asdict())
            return climate

        return SimulatedDht22(self.wire(device, place), measured, self._clock)

    def _air(self, device: str, t_s: float) -> Air:
        air, value = self._scenario.air, self._scenario.value
        return Air(
            temperature_c=value(air.temperature_c, f"{device} temperature", t_s),
            humidity_pct=_percent(value(air.humidity_pct, f"{device} humidity", t_s)),
            pressure_hpa=value(air.pressure_hpa, f"{device} pressure", t_s),
            gas_ohm=1000 * value(air.gas_kohm, f"{device} gas", t_s),
        )

    def _climate(self, device: str, t_s: float) -> Climate:
        room, value = self._scenario.room, self._scenario.value
        return Climate(
            value(room.temperature_c, f"{device} temperature", t_s),
            _percent(value(room.humidity_pct, f"{device} humidity", t_s)),
        )


def _percent(value: float) -> float:
    """Keep noise within 0 to 100 %RH."""
    return min(100.0, max(0.0, value))
