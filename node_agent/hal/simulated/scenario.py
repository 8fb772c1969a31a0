"""Scenario of the simulated chips: curves over time, and faults in windows of time.

Pure values: `t_s` is the seconds since the hardware was opened, and the same `t_s` always gives the
same answer. What contradicts itself raises ValueError, to which msgspec adds the place in the file.
"""

import random
import re
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec

from node_agent.hal.simulated.gpio.signal import InputSignal

NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Keyframe = tuple[NonNegative, float]
# A device as readings name it (`dht22-gpio4`, `bme680-0x77`), or all of one kind, or all there is.
# The chips of a plugin's `simulated.py` are called after the plugin.
Device = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9-]+$",
        extra_json_schema={"description": "a device such as i2c, spi, uart, dht22-gpio4"},
    ),
]
# Kinds that every simulated board may have, and the buses.
KINDS = frozenset({"dht22", "bme680", "ssd1306"})
BUSES = frozenset({"i2c", "spi", "uart"})
_DEVICE = re.compile(r"(?P<kind>.+)-(?:(?P<i2c>0x[0-9a-f]{2})|(?P<bus>spi|uart)|gpio\d+)")
PinName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^gpio([2-9]|1[0-9]|2[0-7])\Z",
        extra_json_schema={"description": "a pin from gpio2 to gpio27"},
    ),
]
# Noise is drawn anew so often; a sensor that is asked twice at once says the same.
_NOISE_STEPS_PER_S = 10


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file; a key that it does not know is refused."""


class Curve(Table, frozen=True):
    """`keyframes` of (second, value), joined by straight lines.

    After the last one its value holds, or with `loop` the curve begins anew. `noise` is the
    standard deviation, in the value's own unit, of what is added so that values live.
    """

    keyframes: Annotated[list[Keyframe], msgspec.Meta(min_length=1)]
    loop: bool = False
    noise: NonNegative = 0.0

    def __post_init__(self) -> None:
        times = [t for t, _ in self.keyframes]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"keyframes: found times {times}, expected each to be later")

    def at(self, t_s: float) -> float:
        """Return the value at `t_s`, without noise."""
        times = [t for t, _ in self.keyframes]
        if self.loop and times[-1] > 0:
            t_s %= times[-1]
        following = bisect_right(times, t_s)
        if following in (0, len(times)):
            return self.keyframes[max(0, following - 1)][1]
        (t0, v0), (t1, v1) = self.keyframes[following - 1 : following + 1]
        return v0 + (v1 - v0) * (t_s - t0) / (t1 - t0)


class RoomCurves(Table, frozen=True):
    """Air around a DHT22."""

    temperature_c: float | Curve = Curve(
        keyframes=[(0, 21.8), (50, 23.6), (90, 23.1), (150, 21.2), (200, 21.8)],
        loop=True,
        noise=0.06,
    )
    humidity_pct: float | Curve = Curve(
        keyframes=[(0, 46), (60, 42), (120, 44.5), (160, 48), (200, 46)], loop=True, noise=0.2
    )


class AirCurves(Table, frozen=True):
    """Air around a BME680."""

    temperature_c: float | Curve = Curve(
        keyframes=[(0, 22.3), (70, 23.9), (130, 22.9), (180, 21.6), (240, 22.3)],
        loop=True,
        noise=0.02,
    )
    humidity_pct: float | Curve = Curve(
        keyframes=[(0, 44), (80, 41), (150, 45), (240, 44)], loop=True, noise=0.08
    )
    pressure_hpa: float | Curve = Curve(
        keyframes=[(0, 1013.2), (150, 1013.9), (300, 1012.8), (400, 1013.2)], loop=True, noise=0.03
    )
    gas_kohm: float | Curve = Curve(
        keyframes=[(0, 72), (60, 88), (130, 76), (190, 95), (260, 72)], loop=True, noise=0.6
    )


def names_of(device: str) -> frozenset[str]:
    """Return the names by which a fault may call `device`: its own, its kind's, its bus's."""
    parts = _DEVICE.fullmatch(device)
    if parts is None:
        return frozenset({device})
    bus = "i2c" if parts["i2c"] else parts["bus"]
    return frozenset({device, parts["kind"]} | ({bus} if bus else set()))


class CpuCurves(Table, frozen=True):
    """CPU of the node itself; `nan` is a machine without a thermometer."""

    temperature_c: float | Curve = Curve(
        keyframes=[(0, 46.5), (45, 48.0), (110, 47.0), (160, 46.5)], loop=True, noise=0.2
    )
    # Of all cores. Without it, the load of this machine.
    usage_pct: float | Curve | None = None


class MemoryCurves(Table, frozen=True):
    """Memory of the node itself, in MB; without a value it is that of this machine."""

    used_mb: float | Curve | None = None
    total_mb: float | Curve | None = None


class Fault(Table, frozen=True, tag_field="kind"):
    """Something that is wrong with `device` from `from_s` until `until_s`, or for ever."""

    device: Device
    from_s: NonNegative = 0.0
    until_s: float | None = None

    def __post_init__(self) -> None:
        if self.until_s is not None and self.until_s <= self.from_s:
            raise ValueError(
                f"until_s: found {self.until_s}, expected later than from_s = {self.from_s}"
            )

    def is_active(self, t_s: float) -> bool:
        return self.from_s <= t_s and (self.until_s is None or t_s < self.until_s)

    def overlaps(self, since_s: float, until_s: float) -> bool:
        return self.from_s <= until_s and (self.until_s is None or self.until_s > since_s)

    def concerns(self, device: str) -> bool:
        return self.device in names_of(device)


class NoAnswer(Fault, frozen=True, tag="no-answer"):
    """The device keeps its power and its state, but nothing answers."""


class Unplugged(Fault, frozen=True, tag="unplugged"):
    """Nothing answers, and after the window the device starts as at power-on."""


class WrongId(Fault, frozen=True, tag="wrong-id"):
    """A BME680 has the id of another chip: by default a BME280's."""

    id: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0x60

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.device.startswith("bme680"):
            raise ValueError(
                f"device: found {self.device!r}, expected a bme680: only that has an id"
            )


class StuckData(Fault, frozen=True, tag="stuck-data"):
    """Measured values stop changing; with `byte`, every byte that is read is that one."""

    byte: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None


class BitErrors(Fault, frozen=True, tag="bit-errors"):
    """Each byte that is read has one bit turned over with the probability `rate`."""

    rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05


class SlowBus(Fault, frozen=True, tag="slow-bus"):
    """Every transfer takes `delay_s` longer; the node gives up one that takes too long."""

    delay_s: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.1


AnyFault = NoAnswer | Unplugged | WrongId | StuckData | BitErrors | SlowBus


class RegisterImage(Table, frozen=True):
    """Raw registers of one BME680, instead of what it would hold and measure.

    `registers` gives hexadecimal bytes by the address of the first: `"0x1d" = "80 00 4b"`.
    """

    device: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^bme680-0x[0-9a-f]{2}$",
            extra_json_schema={"description": "a device such as bme680-0x77"},
        ),
    ]
    registers: dict[str, str]

    def __post_init__(self) -> None:
        self.by_address()

    def by_address(self) -> dict[int, bytes]:
        try:
            return {int(key, 16): bytes.fromhex(data) for key, data in self.registers.items()}
        except ValueError as e:
            raise ValueError(
                f'registers: {e}; expected hexadecimal bytes by address: "0x1d" = "80 00 4b"'
            ) from e


class Display(Table, frozen=True):
    """Panel at each address that the node's configuration has for displays."""

    controller: Literal["SSD1306", "SH1106"] = "SSD1306"
    size: Literal["128x64", "128x32"] = "128x64"

    @property
    def rows(self) -> int:
        return int(self.size.partition("x")[2])


class Scenario(Table, frozen=True):
    """One file. The default is a pleasant, lively room without a fault."""

    title: str = ""
    seed: int = 1
    room: RoomCurves = RoomCurves()
    air: AirCurves = AirCurves()
    cpu: CpuCurves = CpuCurves()
    memory: MemoryCurves = MemoryCurves()
    display: Display = Display()
    faults: list[AnyFault] = []
    # Scenario keys of the chips in each plugin's `simulated.py`, by plugin.
    chips: dict[str, dict[str, Any]] = {}
    register_images: list[RegisterImage] = []
    # Signals at digital inputs; the others are left open.
    inputs: dict[PinName, InputSignal] = {}
    # Whether a BME680's new-data flag goes when it is read; chips are to work either way.
    bme680_clears_new_data: bool = True

    def value(self, curve: float | Curve, name: str, t_s: float) -> float:
        """Return `curve` at `t_s` with its noise, which `name` keeps apart from other curves'."""
        if not isinstance(curve, Curve):
            return curve
        step = int(t_s * _NOISE_STEPS_PER_S)
        return curve.at(t_s) + random.Random(f"{self.seed} {name} {step}").gauss(0, curve.noise)

    def input_signals(self) -> dict[int, InputSignal]:
        """Return the signals by the numbers of their pins."""
        return {int(name.removeprefix("gpio")): signal for name, signal in self.inputs.items()}

    def active_faults(self, device: str, t_s: float) -> list[AnyFault]:
        return [f for f in self.faults if f.concerns(device) and f.is_active(t_s)]


def frozen_since(faults: Iterable[AnyFault], t_s: float) -> float:
    """Return the time at which values stopped changing, or `t_s` where they did not."""
    return min((f.from_s for f in faults if isinstance(f, StuckData)), default=t_s)
