"""Simulated hardware of a node, wired as its configuration says."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from bus.config import plugin_files
from bus.config.settings import Config
from node_agent.hal.capabilities import Climate, CpuMeter, Relay
from node_agent.hal.devices import Board
from node_agent.hal.dht22 import Dht22Sensors
from node_agent.hal.errors import DeviceUnavailableError
from node_agent.hal.simulated import scenario_file
from node_agent.hal.simulated.bme680.chip import CHIP_ID, SimulatedBme680
from node_agent.hal.simulated.bme680.physics import Air
from node_agent.hal.simulated.dht22 import SimulatedDht22
from node_agent.hal.simulated.display import SimulatedDisplay, make_display
from node_agent.hal.simulated.gpio.pins import SimulatedGpio
from node_agent.hal.simulated.i2c_bus import SimulatedI2cBus, Slot, one_after_the_other
from node_agent.hal.simulated.machine import SimulatedMachine
from node_agent.hal.simulated.models import fitting
from node_agent.hal.simulated.models.fitting import PluginChips
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.relay import SimulatedRelay
from node_agent.hal.simulated.scenario import Scenario
from node_agent.hal.simulated.spi_bus import SimulatedSpiBus
from node_agent.hal.simulated.strip import SimulatedStrip
from node_agent.hal.simulated.uart_port import SimulatedUart
from node_agent.hal.simulated.wire import Wire

logger = logging.getLogger(__name__)


class SimulatedBoard(Board):
    """Simulated `Hardware`, with its devices as attributes for tests."""

    def __init__(
        self,
        config: Config,
        scenario: Scenario,
        recorder: Recorder,
        clock: Callable[[], float],
        plugin_chips: Sequence[PluginChips] = (),
    ) -> None:
        """`clock` gives the scenario's time in s; `plugin_chips` are those of the plugins."""
        world = _World(config, scenario, recorder, clock, plugin_chips)
        panel = scenario.display
        self.displays: Mapping[int, SimulatedDisplay] = {
            int(address, 16): make_display(panel.controller, panel.rows, scenario.seed)
            for address in config.hardware.ssd1306_addresses
        }
        self.strip = SimulatedStrip(config.leds.count, recorder) if config.leds.count else None
        self.relays: Mapping[Relay, SimulatedRelay] = {
            relay: SimulatedRelay(relay, recorder)
            for relay, table in ((Relay.BUZZER, config.buzzer), (Relay.FAN, config.fan))
            if table is not None
        }
        self.pins = SimulatedGpio(scenario.input_signals(), recorder, clock)
        self._recorder = recorder
        self._machine = SimulatedMachine(scenario, clock)
        super().__init__(
            i2c=world.i2c_bus(self.displays),
            dht22=world.dht22_sensors(),
            spi=world.spi_bus(),
            uart=world.uart_port(),
            strip=self.strip,
            relays=self.relays,
            gpio=self.pins,
        )

    def cpu_temperature_c(self) -> float | None:
        return self._machine.cpu_temperature_c()

    def cpu_meter(self) -> CpuMeter:
        return self._machine.cpu_meter() or super().cpu_meter()

    def memory_mb(self) -> tuple[int, int] | None:
        return self._machine.memory_mb(super().memory_mb())

    def close(self) -> None:
        super().close()
        self._recorder.close()


def open_simulated(config: Config) -> SimulatedBoard:
    """Return the hardware of `config`, with its plugins' own chips; its scenario begins now.

    Raises MisconfiguredError where the scenario is wrong or the record can't be written.
    """
    hardware = config.hardware
    scenario = scenario_file.load(
        hardware.scenario, hardware.scenario_values, plugin_files.known(config)
    )
    found = fitting.find(config)
    fitting.check_keys(config, scenario, found)
    started_s = time.monotonic()
    return SimulatedBoard(
        config,
        scenario,
        Recorder(hardware.record_file),
        lambda: time.monotonic() - started_s,
        found,
    )


class _World:
    """Devices of one node in a scenario."""

    def __init__(
        self,
        config: Config,
        scenario: Scenario,
        recorder: Recorder,
        clock: Callable[[], float],
        plugin_chips: Sequence[PluginChips],
    ) -> None:
        self._config = config
        self._scenario = scenario
        self._recorder = recorder
        self._clock = clock
        self._i2c_name = f"i2c-{config.hardware.i2c_bus}"
        self._is_whole = all(one.is_whole for one in plugin_chips)
        self._models = fitting.fit(
            plugin_chips,
            scenario,
            clock,
            {
                "i2c": self._i2c_name,
                "spi": f"spi {config.hardware.spi_device}",
                "uart": config.hardware.uart_device,
            },
        )

    def wire(self, device: str, place: str, power_on: Callable[[], None] = lambda: None) -> Wire:
        return Wire(device, place, self._scenario, self._clock, power_on=power_on)

    def i2c_bus(self, displays: Mapping[int, SimulatedDisplay]) -> SimulatedI2cBus:
        slots = {
            address: Slot(
                self.wire(
                    f"ssd1306-0x{address:02x}",
                    f"{self._i2c_name} 0x{address:02x}",
                    display.power_on,
                ),
                one_after_the_other(display),
            )
            for address, display in displays.items()
        }
        for text in self._config.sensors.bme680_addresses:
            slots[int(text, 16)] = self._bme680(f"bme680-{text}", f"{self._i2c_name} {text}")
        slots |= self._plugin_slots(slots)
        return SimulatedI2cBus(self._i2c_name, slots)

    def _plugin_slots(self, taken: Mapping[int, Slot]) -> dict[int, Slot]:
        slots = {}
        for model in self._models.values():
            if model.address is None:
                continue
            slots[model.address] = Slot(model.wire, model.transfer_i2c)
            if model.address in taken:
                logger.warning(
                    "the chip of %s takes the place of %s on the simulated board",
                    *(model.wire.device, taken[model.address].wire.device),
                )
        return slots

    def spi_bus(self) -> SimulatedSpiBus:
        model = self._models.get("spi")
        if model is not None:
            return SimulatedSpiBus(model.wire, model.transfer_spi)
        # The loopback's answer could pass for that of a chip whose model is broken.
        return SimulatedSpiBus(
            self.wire("spi", f"spi {self._config.hardware.spi_device}"),
            bytes if self._is_whole else _no_spi_answer,
        )

    def uart_port(self) -> SimulatedUart:
        return SimulatedUart(self._models.get("uart"))

    def dht22_sensors(self) -> Dht22Sensors:
        pins = self._config.sensors.dht22_pins
        sensors = {pin: self._dht22(f"dht22-gpio{pin}", f"gpio{pin}") for pin in pins}
        return Dht22Sensors(pins, lambda pin: sensors[pin].read_wire())

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
        return Slot(wire, one_after_the_other(chip))

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


def _no_spi_answer(_data: bytes) -> bytes:
    raise DeviceUnavailableError("no answer at spi: a plugin's simulated.py is wrong")


def _percent(value: float) -> float:
    """Keep noise within 0 to 100 %RH."""
    return min(100.0, max(0.0, value))
