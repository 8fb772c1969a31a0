"""Host functions of the WIT contract, within a plugin's grants.

No function here raises into the guest: an exception would poison the instance and surface
elsewhere. A call that fails returns `err` where its type has one, and is logged once where not.
"""

import logging
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from bus.clock import now_ms
from bus.config.settings import Grant
from bus.contract.commands import Pattern
from bus.errors import HarvesterError
from node_agent.actuators.buzzer import BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.descriptions.plugin_settings import GetSetting, no_setting
from node_agent.hal import system
from node_agent.hal.capabilities import BLACK, Color, Hardware
from node_agent.hal.display.tap import DisplayTap
from node_agent.host_functions.effects import EffectParts, Effects
from node_agent.host_functions.latest import latest_reading
from node_agent.plugins import grants
from node_agent.plugins.bus_view import BusView
from node_agent.plugins.readings import NOT_MEASURED_U32, NOT_MEASURED_U64
from node_agent.plugins.store import PluginStore
from node_agent.sandbox.instance import Err, HostFunction, Imports

logger = logging.getLogger(__name__)

_MAX_TRANSFER_BYTES = 4096
_MAX_BEEP_MS = 10_000
# Bound of the different problems that are logged for one plugin.
_MAX_LOGGED = 50
# The functions whose type is a result; `set` is plugin-state's.
_RESULT_FUNCTIONS = frozenset(
    {"read-dht22", "transfer", "read", "write", "set-baud", "set"}
    | {"set-input", "take-edges", "publish"}
)


class NodeParts(msgspec.Struct, frozen=True):
    """Devices that the plugins of one node share."""

    hardware: Hardware
    leds: LedBuffer
    buzzer: BuzzerPlayer | None
    fan: FanControl | None
    display: DisplayTap | None = None
    # The pins that carry a DHT22, which a refusal names.
    dht22_pins: tuple[int, ...] = ()
    # Of displays, as the configuration writes them.
    display_addresses: tuple[str, ...] = ()
    # The configuration's key of each pin that is in use.
    pin_users: Mapping[int, str] = {}
    # That of each I2C address that is granted.
    i2c_users: Mapping[int, str] = {}
    # The newest readings of all nodes.
    view: BusView = msgspec.field(default_factory=BusView)


def host_imports(  # noqa: PLR0913, PLR0917 - the parts of one instance; two have defaults
    plugin: str,
    grant: Grant,
    parts: NodeParts,
    store: PluginStore | None,
    get_setting: GetSetting = no_setting,
    effects: Effects | None = None,
) -> Imports:
    """Return every interface of the contract as `plugin` may use it.

    `store` holds the plugin's state, None where it was not granted any. Without `effects` the
    instance is live, and its events go nowhere.
    """
    effects = effects or EffectParts(plugin, grant, parts.hardware, parts.pin_users).open()
    host = _Host(plugin, grant, parts, store)
    tables: dict[str, dict[str, tuple[HostFunction, Any]]] = {
        "gpio-provider": {
            "read-dht22": (host.read_dht22, None),
            "get-timestamp-ms": (now_ms, 0),
            "get-cpu-temp": (host.cpu_temperature_c, math.nan),
        },
        "led-controller": {
            "set-led": (host.set_led, None),
            "set-all": (host.set_all, None),
            "set-two": (host.set_two, None),
            "clear": (partial(host.set_all, *BLACK), None),
            "sync-leds": (_nothing, None),
        },
        "buzzer-controller": {"buzz": (host.buzz, None), "beep": (host.beep, None)},
        "fan-controller": {
            "set-fan": (host.set_fan, None),
            "get-fan-state": (host.fan_state, False),
        },
        "system-info": {
            "get-memory-usage": (host.memory_mb, (NOT_MEASURED_U32, NOT_MEASURED_U32)),
            "get-cpu-usage": (host.cpu_usage_pct, math.nan),
            "get-uptime": (lambda: int(system.uptime_s()), NOT_MEASURED_U64),
        },
        "i2c": {"transfer": (host.i2c_transfer, None)},
        "spi": {"transfer": (host.spi_transfer, None)},
        "uart": {
            "read": (host.uart_read, None),
            "write": (host.uart_write, None),
            "set-baud": (host.uart_set_baud, None),
        },
        "settings": {
            "get": (get_setting, None),
            "get-for": (lambda sensor_id, key: get_setting(key, sensor_id), None),
        },
        "gpio": {
            "set-input": (effects.pins.set_input, None),
            "read": (effects.pins.read, None),
            "take-edges": (effects.pins.take_edges, None),
            "write": (effects.pins.write, None),
        },
        "readings": {"latest": (partial(latest_reading, plugin, grant, parts.view), None)},
        "events": {"publish": (effects.events.publish, None)},
        "plugin-state": {"get": (host.state_get, None), "set": (host.state_set, None)},
    }
    return {
        interface: {name: host.guarded(name, *entry) for name, entry in functions.items()}
        for interface, functions in tables.items()
    }


class _Host:
    """The functions behind one plugin's imports."""

    def __init__(
        self, plugin: str, grant: Grant, parts: NodeParts, store: PluginStore | None
    ) -> None:
        self._plugin = plugin
        self._grant = grant
        self._parts = parts
        self._cpu = parts.hardware.cpu_meter()
        self._leds = frozenset(grant.leds)
        self._i2c = frozenset(int(address, 16) for address in grant.i2c)
        self._i2c_bus = parts.display or parts.hardware
        self._store = store
        self._logged: set[str] = set()

    def guarded(self, name: str, function: HostFunction, fallback: Any) -> HostFunction:
        """Wrap a function so that it never raises: see the module's rule."""
        fails = name in _RESULT_FUNCTIONS

        def called(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except (HarvesterError, OSError, ValueError) as e:
                return Err(str(e)) if fails else self._log_once(str(e), fallback)
            except Exception:
                logger.exception("%s failed for plugin %s", name, self._plugin)
                return Err(f"{name} failed in the host") if fails else fallback

        return called

    def _log_once(self, problem: str, fallback: Any) -> Any:
        if problem not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(problem)
            logger.warning("plugin %s: %s", self._plugin, problem)
        return fallback

    def _refused(self, line: str) -> Err:
        return Err(grants.refusal(self._plugin, line))

    def read_dht22(self, pin: int) -> Any:
        if pin not in self._grant.gpio:
            return self._refused(f"gpio = {list(self._parts.dht22_pins) or [pin]}")
        climate = self._parts.hardware.read_dht22(pin)
        return (float(climate.temperature_c), float(climate.humidity_pct))

    def set_led(self, index: int, red: int, green: int, blue: int) -> None:
        if index in self._leds:
            self._parts.leds.set_many((index,), Color(red, green, blue))
        else:
            self._log_once(grants.refusal(self._plugin, f"leds = [{index}]"), None)

    def set_all(self, red: int, green: int, blue: int) -> None:
        self._parts.leds.set_many(self._leds, Color(red, green, blue))

    def set_two(self, *channels: int) -> None:
        self.set_led(0, *channels[:3])
        self.set_led(1, *channels[3:])

    def buzz(self, duration_ms: int) -> None:
        self.beep(1, duration_ms, 0)

    def beep(self, count: int, duration_ms: int, interval_ms: int) -> None:
        if not self._grant.buzzer:
            self._log_once(grants.refusal(self._plugin, "buzzer = true"), None)
        elif self._parts.buzzer is None:
            self._log_once("this node has no buzzer: its configuration has no [buzzer]", None)
        else:
            pattern = Pattern(count, min(duration_ms, _MAX_BEEP_MS), min(interval_ms, _MAX_BEEP_MS))
            self._parts.buzzer.enqueue(pattern, self._plugin)

    def set_fan(self, on: bool) -> None:  # noqa: FBT001 - the contract's signature
        if not self._grant.fan:
            self._log_once(grants.refusal(self._plugin, "fan = true"), None)
        elif self._parts.fan is None:
            self._log_once("this node has no fan: its configuration has no [fan]", None)
        else:
            self._parts.fan.demand(on=on)

    def fan_state(self) -> bool:
        return self._parts.fan is not None and self._parts.fan.state.on

    def cpu_temperature_c(self) -> float:
        temperature_c = self._parts.hardware.cpu_temperature_c()
        return math.nan if temperature_c is None else temperature_c

    def cpu_usage_pct(self) -> float:
        percent = self._cpu.percent()
        return math.nan if percent is None else percent

    def memory_mb(self) -> tuple[int, int]:
        return self._parts.hardware.memory_mb() or (NOT_MEASURED_U32, NOT_MEASURED_U32)

    def i2c_transfer(self, address: int, write_hex: str, read_len: int) -> Any:
        if address not in self._i2c:
            return Err(grants.i2c_refusal(self._plugin, address, self._parts.i2c_users))
        if max(len(write_hex) // 2, read_len) > _MAX_TRANSFER_BYTES:
            return Err(f"i2c transfer: expected at most {_MAX_TRANSFER_BYTES} bytes each way")
        try:
            data = bytes.fromhex(write_hex)
        except ValueError:
            return Err(
                f"i2c.transfer: write_data: found {write_hex[:80]!r}, expected two hexadecimal "
                "digits a byte"
            )
        return self._i2c_bus.i2c_transfer(address, data, read_len).hex()

    def spi_transfer(self, data: bytes) -> Any:
        return self._granted_bytes("spi", data, self._parts.hardware.spi_transfer)

    def uart_read(self, max_len: int) -> Any:
        if not self._grant.uart:
            return self._refused("uart = true")
        return self._parts.hardware.uart_read(min(max_len, _MAX_TRANSFER_BYTES))

    def uart_write(self, data: bytes) -> Any:
        return self._granted_bytes("uart", data, self._parts.hardware.uart_write)

    def uart_set_baud(self, rate: int) -> Any:
        if not self._grant.uart:
            return self._refused("uart = true")
        return self._parts.hardware.uart_set_baud(rate)

    def state_get(self, key: str) -> str | None:
        return self._store.get(key) if self._store is not None else None

    def state_set(self, key: str, value: str) -> Any:
        if self._store is None:
            return self._refused("state = true")
        self._store.set(key, value)
        return None

    def _granted_bytes(self, port: str, data: bytes, transfer: Callable[[bytes], Any]) -> Any:
        if not getattr(self._grant, port):
            return self._refused(f"{port} = true")
        if len(data) > _MAX_TRANSFER_BYTES:
            return Err(f"{port}: expected at most {_MAX_TRANSFER_BYTES} bytes")
        return transfer(data)


def _nothing() -> None:
    return
