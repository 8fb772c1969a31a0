"""A workbench: the parts of one simulated node, and plugins in the real sandbox on it.

What happens is told line by line to a `Say`. It knows neither a bus nor an agent.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from bus.config.grant_table import Output
from bus.config.key_types import FIRST_PIN, LAST_PIN
from bus.config.settings import Config, Grant, pin_users
from bus.contract.messages import Buzzer, Event, Fan
from bus.errors import BadDataError
from harvester.plugins.replay.trace import HostCall, traced
from node_agent.actuators.buzzer import BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer, to_hex
from node_agent.descriptions.plugin_settings import GetSetting, PluginSettings
from node_agent.hal.board import open_hardware
from node_agent.hal.capabilities import BLACK, Hardware, Relay
from node_agent.host_functions.effects import EffectParts, Effects
from node_agent.plugins import grants
from node_agent.plugins.bus_view import BusView
from node_agent.plugins.readings import Sample, samples
from node_agent.plugins.store import PluginStore
from node_agent.plugins.wit_imports import NodeParts, host_imports
from node_agent.sandbox.bundles.loaded import UPDATE, LoadedPlugin, entry, may_be_empty
from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits, limits_of
from node_agent.sandbox.runtime import Runtime

# Hears what happens: its kind in a word, and the rest. Any thread may call.
Say = Callable[[str, str], None]

_FIRST_I2C_ADDRESS, _LAST_I2C_ADDRESS = 0x08, 0x77
_BME680_ADDRESSES = {0x76, 0x77}
_DAY_S = 86_400


class Outcome(msgspec.Struct, frozen=True):
    """One poll: what it brought, what was wrong with that, whether the plugin said so itself."""

    samples: list[Sample]
    problems: list[str]
    is_own_err: bool
    took_s: float


class Bench:
    """Open it with `with`; its hardware's scenario begins then."""

    def __init__(self, config: Config, cache_dir: Path, say: Say) -> None:
        """`config` must ask for simulated hardware."""
        self.config = config
        self._say = say
        self._leds = LedBuffer(config.leds.count)
        self._open = ExitStack()
        # The hardware and what drives it.
        self._plugged = ExitStack()
        self.runtime = Runtime(
            cache_dir,
            Limits(),
            limits_of=lambda name: limits_of(config.plugins, name),
            target=config.plugins.target,
        )

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            state = opening.enter_context(tempfile.TemporaryDirectory())
            self._state_dir = Path(state)
            opening.enter_context(self.runtime)
            opening.callback(self._unplug)
            self.plug_in(self.config)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def plug_in(self, config: Config) -> None:
        """Open the hardware of `config` in place of what there was; its scenario begins now.

        Guests that were started before keep the closed one. Raises MisconfiguredError, and changes
        nothing then.
        """
        with ExitStack() as opening:
            hardware = opening.enter_context(closing(open_hardware(config)))
            parts = NodeParts(
                hardware,
                self._leds,
                self._buzzer(hardware, opening),
                self._fan(hardware),
                dht22_pins=tuple(config.sensors.dht22_pins),
                pin_users=pin_users(config),
            )
            self._unplug()
            self.config, self._hardware, self._parts = config, hardware, parts
            self._plugged = opening.pop_all()

    def _unplug(self) -> None:
        self._plugged.close()

    def start(
        self,
        name: str,
        loaded: LoadedPlugin,
        grant: Grant,
        on_call: Callable[[HostCall], None],
    ) -> "Guest":
        """Start an instance. Raises ComponentError where it is refused or does not start."""
        refused = grants.missing(name, list(loaded.imports), grant)
        if refused:
            raise ComponentError(f"{refused}; or try it with --grant-all")
        store = PluginStore(self._state_dir / f"{name}.json") if grant.state else None
        effects = EffectParts(
            *(name, grant, self._parts.hardware, self._parts.pin_users), publish=self._tell_event
        ).open()
        settings = self._settings_of(name, loaded)
        imports = traced(host_imports(name, grant, self._parts, store, settings, effects), on_call)
        limits = self.runtime.limits_of(name)
        interface, function = entry(loaded)
        instance = PluginInstance(loaded, imports, limits, lambda line: self._say("print", line))
        return Guest(name, instance, interface, function, effects)

    def _settings_of(self, name: str, loaded: LoadedPlugin) -> GetSetting:
        """Return the settings as the configuration has them, or raise ComponentError."""
        described = loaded.description().settings
        settings = PluginSettings(name, self.config.plugins.settings.get(name))
        if refused := settings.refusal(described):
            raise ComponentError(refused)
        return partial(settings.get, described)

    def show_leds(self) -> None:
        """Write the strip as an agent does at the end of a cycle, and tell what changed."""
        before = self._leds.shown or [BLACK] * self.config.leds.count
        after = self._leds.show(self._hardware.show_pixels) or before
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if old != new:
                self._say("led", f"{index} {to_hex(new)}")

    def _tell_event(self, sensor_id: str, event: Event) -> None:
        data = msgspec.json.encode(event.data).decode()
        self._say("event", f"{sensor_id}: {event.name} {data}")

    def _buzzer(self, hardware: Hardware, opening: ExitStack) -> BuzzerPlayer | None:
        if self.config.buzzer is None:
            return None

        def tell(state: Buzzer) -> None:
            self._say("buzzer", "sounds" if state.sounding else "silent")

        player = BuzzerPlayer(
            lambda on: hardware.set_relay(Relay.BUZZER, on=on),
            tell,
            self.config.buzzer.longest_on_ms,
        )
        return opening.enter_context(player)

    def _fan(self, hardware: Hardware) -> FanControl | None:
        if self.config.fan is None:
            return None

        def tell(state: Fan) -> None:
            self._say("fan", "on" if state.on else "off")

        return FanControl(lambda on: hardware.set_relay(Relay.FAN, on=on), tell)


class Guest:
    """A started instance of a plugin; spent after a poll that raised."""

    def __init__(
        self,
        name: str,
        instance: PluginInstance,
        interface: str,
        function: str,
        effects: Effects,
    ) -> None:
        self._effects = effects
        self._name = name
        self._instance = instance
        self._interface = interface
        self._function = function

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def traceback(self) -> str:
        return self._instance.traceback

    @property
    def brings_readings(self) -> bool:
        return self._function != UPDATE

    @property
    def may_be_empty(self) -> bool:
        """Whether a poll without a reading means that nothing is new."""
        return may_be_empty(self._interface)

    def poll(self) -> Outcome:
        """Call it as an agent does once a cycle. Raises PluginError."""
        arguments = () if self.brings_readings else (BusView().as_json(),)
        self._effects.begin_poll()
        began_s = time.perf_counter()
        returned = self._instance.call(self._interface, self._function, *arguments)
        took_s = time.perf_counter() - began_s
        problems: list[str] = []
        found: list[Sample] = []
        if self.brings_readings:
            try:
                found = samples(returned, self._name, problems.append)
            except BadDataError as e:
                problems.append(str(e))
            problems += _in_seconds(found)
        return Outcome(found, problems, isinstance(returned, str), took_s)

    def close(self) -> None:
        # Its outputs get their safe levels when the hardware is closed, which may have happened.
        self._effects.retire()
        self._instance.close()


def _in_seconds(found: Sequence[Sample]) -> Iterator[str]:
    """Yield a sentence on each reading whose time is the present one in seconds."""
    now_s = time.time()
    for sample in found:
        if abs(sample.timestamp_ms - now_s) < _DAY_S:
            yield (
                f"{sample.sensor_id}: timestamp-ms: found {sample.timestamp_ms}, which is the time "
                "in seconds, expected milliseconds"
            )


def everything(config: Config, *, has_own_chips: bool = False) -> Grant:
    """Return a grant of all that a node with this configuration has.

    `has_own_chips` adds every address, for a plugin that brings its own simulated chips.
    """
    # A BME680's second address, where this node has none, would be a sensor that does not answer.
    present = {int(text, 16) for text in config.sensors.bme680_addresses}
    absent = set() if has_own_chips else _BME680_ADDRESSES - present
    addresses = set(range(_FIRST_I2C_ADDRESS, _LAST_I2C_ADDRESS + 1)) - absent
    pins = [pin for pin in range(FIRST_PIN, LAST_PIN + 1) if pin not in pin_users(config)]
    return Grant(
        gpio=config.sensors.dht22_pins,
        leds=list(range(config.leds.count)),
        i2c=[f"0x{address:02x}" for address in sorted(addresses)],
        buzzer=True,
        fan=True,
        spi=True,
        uart=True,
        state=True,
        inputs=pins,
        outputs=[Output(pin=pin, safe="low") for pin in pins],
        readings=["*"],
        events=True,
    )
