"""LED strip through SPI: the waveform on the wire, against the data sheets' limits."""

import errno
import sys
import types
from collections.abc import Iterator

import pytest

from node_agent.hal.capabilities import Color
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real.spi_strip import SpiStrip, frame

# Worldsemi, WS2812B and WS2812B-V5, "Data transfer time": the times in ns that both take.
HIGH_NS = {0: (250, 380), 1: (650, 950)}
LOW_NS = {0: (700, 1000), 1: (300, 420)}
LATCH_NS = 280_000
BIT_NS = 1e9 / 3_200_000


class FakeSpiDev:
    """spidev 3.8's SpiDev: what was written, and one that cannot be opened."""

    made: list["FakeSpiDev"]
    open_error: OSError | None = None

    def __init__(self) -> None:
        self.max_speed_hz, self.mode, self.opened = 0, 1, (-1, -1)
        self.written: list[bytes] = []
        self.write_error: OSError | None = None
        self.made.append(self)

    def open(self, bus: int, device: int) -> None:
        if self.open_error:
            raise self.open_error
        self.opened = (bus, device)

    def writebytes2(self, data: bytes) -> None:
        if self.write_error:
            raise self.write_error
        self.written.append(data)

    def close(self) -> None:
        self.opened = (-1, -1)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[FakeSpiDev]:
    monkeypatch.setattr(FakeSpiDev, "made", [], raising=False)
    monkeypatch.setattr(FakeSpiDev, "open_error", None)
    module = types.ModuleType("spidev")
    module.SpiDev = FakeSpiDev  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "spidev", module)
    return FakeSpiDev.made


def pulses(data: bytes) -> Iterator[tuple[float, float]]:
    """Yield how long the line is high, then low, in ns; the first one may be low only."""
    levels = "".join(f"{byte:08b}" for byte in data)
    for part in levels.lstrip("0").replace("01", "0 1").split():
        high = part.count("1")
        yield high * BIT_NS, (len(part) - high) * BIT_NS


def decoded(data: bytes) -> bytes:
    """Return the bytes that a strip takes from the wire, by the data sheets' limits."""
    bits = []
    *middle, (last_high, last_low) = pulses(data)
    for high, low in middle:
        (bit,) = (bit for bit, (least, most) in HIGH_NS.items() if least <= high <= most)
        assert LOW_NS[bit][0] <= low <= LOW_NS[bit][1]
        bits.append(bit)
    assert last_low > LATCH_NS
    bits.append(int(last_high >= HIGH_NS[1][0]))
    assert len(bits) % 8 == 0
    return bytes(int("".join(map(str, bits[i : i + 8])), 2) for i in range(0, len(bits), 8))


def test_every_byte_is_within_the_limits_of_both_data_sheets() -> None:
    for value in range(256):
        data = frame([Color(value, 255 - value, 0)], brightness=255, order="RGB")
        assert decoded(data) == bytes((value, 255 - value, 0))


@pytest.mark.parametrize(
    ("order", "sent"),
    [("GRB", b"\x02\x01\x03"), ("RGB", b"\x01\x02\x03"), ("BGR", b"\x03\x02\x01")],
)
def test_colours_are_sent_in_the_strips_order(order: str, sent: bytes) -> None:
    assert decoded(frame([Color(1, 2, 3)], brightness=255, order=order)) == sent


def test_the_brightness_dims_all_colours_as_rpi_ws281x_does() -> None:
    # By 64/256 (ws2811.c, ws2811_render).
    assert decoded(frame([Color(255, 128, 3)], brightness=63, order="RGB")) == b"\x3f\x20\x00"


def test_the_line_is_low_for_a_latch_before_the_colours_too() -> None:
    data = frame([Color(255, 255, 255)], brightness=255, order="GRB")
    assert (len(data) - len(data.lstrip(b"\0"))) * 8 * BIT_NS > LATCH_NS


def test_the_longest_strip_is_one_transfer() -> None:
    assert len(frame([Color(1, 2, 3)] * 256, brightness=64, order="GRB")) <= 4096


def test_a_strip_is_written_whole_and_dark_when_closed(devices: list[FakeSpiDev]) -> None:
    strip = SpiStrip(count=2, pin=10, brightness=255)
    strip.show([Color(1, 2, 3)])
    (spi,) = devices
    assert (spi.opened, spi.max_speed_hz, spi.mode) == ((0, 0), 3_200_000, 0)
    strip.close()
    strip.close()
    assert [decoded(data) for data in spi.written] == [b"\x02\x01\x03" + bytes(3), bytes(6)]
    assert spi.opened == (-1, -1)
    with pytest.raises(DeviceUnavailableError, match="strip at gpio10 is closed"):
        strip.show([])


def test_another_pin_is_refused_with_the_remedy(devices: list[FakeSpiDev]) -> None:
    with pytest.raises(HardwareNotInstalledError, match=r"gpio18: .* set leds.pin = 10"):
        SpiStrip(count=2, pin=18, brightness=255).show([])
    assert devices == []


def test_errors_are_named_with_the_device_file(devices: list[FakeSpiDev]) -> None:
    strip = SpiStrip(count=1, pin=10, brightness=255)
    strip.show([])
    devices[0].write_error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(DeviceUnavailableError, match=r"gpio10: /dev/spidev0\.0: Input/output"):
        strip.show([])
    with pytest.raises(BadDeviceDataError, match="expected at most 1"):
        strip.show([Color(0, 0, 0)] * 2)


@pytest.mark.usefixtures("devices")
def test_a_missing_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory")
    monkeypatch.setattr(FakeSpiDev, "open_error", missing)
    with pytest.raises(HardwareNotInstalledError, match=r"/dev/spidev0\.0: No such.*do_spi"):
        SpiStrip(count=1, pin=10, brightness=255).show([])
