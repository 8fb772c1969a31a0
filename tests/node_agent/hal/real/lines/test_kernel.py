"""Our use of the kernel's GPIO device, against a stand-in for the library gpiod."""

import errno
import sys
import threading
from pathlib import Path

import pytest

from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real.gpio import RaspberryGpio
from node_agent.hal.real.lines import kernel
from node_agent.hal.real.lines.lines import open_lines
from node_agent.hal.real.relay import GpioRelay
from tests.node_agent.hal.real.fake_gpiod import Bias, Direction, FakeChip, FakeGpiod
from tests.node_agent.hal.real.open_files import open_files
from tests.support import wait_until

BUTTON = InputMode("up", "falling", 20)


@pytest.fixture
def gpiod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGpiod:
    fake = FakeGpiod(tmp_path)
    monkeypatch.setitem(sys.modules, "gpiod", fake)
    monkeypatch.setitem(sys.modules, "gpiod.line", fake.line)
    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
    monkeypatch.setattr(kernel, "CHIPS", fake.pattern)
    return fake


@pytest.fixture
def chip(gpiod: FakeGpiod) -> FakeChip:
    # A Raspberry Pi 4 has a chip of its firmware, too.
    gpiod.add("gpiochip1", FakeChip("raspberrypi-exp-gpio"))
    return gpiod.add("gpiochip0", FakeChip())


def press(chip: FakeChip, pin: int, at_ms: float) -> None:
    """Pull a pin low for 100 ms; the contact bounces for 2 ms."""
    for level, after_ms in ((False, 0), (None, 1), (False, 2), (None, 100)):
        chip.drive_outside(pin, level, at_ms + after_ms)


@pytest.mark.parametrize("label", ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"])
def test_the_header_is_found_by_the_label_of_its_chip(gpiod: FakeGpiod, label: str) -> None:
    gpiod.add("gpiochip0", FakeChip("raspberrypi-exp-gpio"))
    chip = gpiod.add("gpiochip4", FakeChip(label))
    RaspberryGpio().drive(17, high=True, safe_high=False)
    assert chip.is_high(17)


def test_an_input_has_its_pull_and_its_level(chip: FakeChip) -> None:
    pins = RaspberryGpio()
    for pin, pull in ((17, "up"), (5, "down"), (6, "none")):
        pins.set_input(pin, InputMode(pull, "both"))
    assert [chip.lines[pin].settings.bias for pin in (17, 5, 6)] == [
        Bias.PULL_UP,
        Bias.PULL_DOWN,
        Bias.DISABLED,
    ]
    assert (pins.is_high(17), pins.is_high(5)) == (True, False)
    chip.drive_outside(17, False, 0)
    assert not pins.is_high(17)
    pins.close()


def test_a_bouncing_press_counts_once_and_another_mode_counts_on(chip: FakeChip) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    pins.set_input(17, BUTTON)
    for number in range(3):
        press(chip, 17, number * 1000)
    wait_until(lambda: pins.edges(17) == 3)
    pins.set_input(17, InputMode("up", "both"))
    chip.drive_outside(17, False, 5000)
    chip.drive_outside(17, None, 6000)
    wait_until(lambda: pins.edges(17) == 5)
    pins.close()


@pytest.mark.parametrize(("edge", "count"), [("rising", 1), ("falling", 1), ("both", 2)])
def test_the_chosen_edges_are_counted(chip: FakeChip, edge: str, count: int) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, InputMode("down", edge))
    chip.drive_outside(17, True, 0)
    chip.drive_outside(17, False, 50)
    wait_until(lambda: pins.edges(17) == count)
    pins.close()


@pytest.mark.parametrize("active_low", [True, False])
def test_a_relay_is_released_before_its_pin_becomes_an_output_and_when_closed(
    chip: FakeChip, active_low: bool
) -> None:
    relay = GpioRelay("buzzer", 17, active_low=active_low)
    relay.set(on=False)
    settings = chip.lines[17].settings
    assert (settings.direction, settings.output_value.value) == (Direction.OUTPUT, active_low)
    # A kernel that makes it an input later leaves it to this resistor.
    assert settings.bias is (Bias.PULL_UP if active_low else Bias.PULL_DOWN)
    relay.set(on=True)
    assert chip.is_high(17) is not active_low
    relay.close()
    relay.close()
    assert chip.is_high(17) is active_low
    assert chip.requests == {}
    with pytest.raises(DeviceUnavailableError, match="the buzzer relay is closed"):
        relay.set(on=True)


def test_closing_leaves_outputs_at_their_safe_levels_and_nothing_open(chip: FakeChip) -> None:
    before, threads = open_files(), threading.active_count()
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    pins.set_input(5, BUTTON)
    pins.drive(5, high=True, safe_high=False)
    pins.drive(23, high=False, safe_high=True)
    pins.close()
    assert (chip.is_high(5), chip.is_high(23)) == (False, True)
    assert chip.requests == {}
    assert open_files() <= before
    assert threading.active_count() <= threads


def test_a_pin_that_something_else_uses_is_named_and_tried_again(chip: FakeChip) -> None:
    pins = RaspberryGpio()
    pins.drive(4, high=True, safe_high=True)
    chip.lines[5] = type(chip.lines[4])()
    chip.lines[5].user = "dht11@4"
    with pytest.raises(HardwareNotInstalledError, match=r"gpio5: .* busy: another program or an o"):
        pins.drive(5, high=True, safe_high=True)
    chip.lines[5].user = ""
    pins.drive(5, high=True, safe_high=True)
    assert chip.is_high(5)


def test_a_line_that_fails_is_an_error_of_the_device(chip: FakeChip) -> None:
    pins = RaspberryGpio()
    pins.drive(4, high=True, safe_high=True)
    pins.set_input(17, BUTTON)
    chip.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(DeviceUnavailableError, match="gpio4: Input/output error"):
        pins.drive(4, high=False, safe_high=True)
    with pytest.raises(DeviceUnavailableError, match="gpio17: Input/output error"):
        pins.is_high(17)
    chip.error = None
    pins.close()


def test_a_device_that_is_closed_to_this_user_is_named(chip: FakeChip) -> None:
    chip.error = PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(HardwareNotInstalledError, match=r"gpiochip0: Permission .* group gpio"):
        RaspberryGpio().drive(4, high=True, safe_high=True)


def test_a_machine_without_a_header_is_told_so(gpiod: FakeGpiod) -> None:
    with pytest.raises(HardwareNotInstalledError, match="of a Raspberry Pi's header"):
        open_lines()
    assert gpiod.opened == 0


def test_without_either_library_gpiod_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gpiod", "RPi.GPIO"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HardwareNotInstalledError, match="library gpiod is missing: pip install"):
        open_lines()
