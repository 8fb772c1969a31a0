"""LEDs and temperature of a Revolution Pi, over a driver that is made of its ioctls."""

import errno

import pytest

from node_agent.hal import system
from node_agent.hal.capabilities import Color
from node_agent.hal.errors import (
    BadDeviceDataError,
    DeviceUnavailableError,
    HardwareNotInstalledError,
)
from node_agent.hal.real.revpi import temperature
from node_agent.hal.real.revpi.front_leds import FrontLeds, lit
from node_agent.hal.real.revpi.pi_control import KernelDevice, PiControl, Variable
from tests.node_agent.hal.real.revpi.fake_pi_control import FakeDriver

# Offsets of a Connect 4 (revpimodio2, device.py, ModularBaseConnect_4_5).
CONNECT4 = {"RevPiLED": (11, 8, 16), "Core_Temperature": (4, 8, 8)}
RED, GREEN, BLUE, CYAN = Color(255, 0, 0), Color(0, 9, 0), Color(0, 0, 255), Color(0, 255, 255)


def test_each_led_of_a_connect_4_has_three_bits() -> None:
    driver = FakeDriver(**CONNECT4)
    leds = FrontLeds(PiControl(driver.open), 5)
    leds.show([RED, GREEN, BLUE, CYAN, Color(255, 255, 255)])
    assert driver.word("RevPiLED") == 0b111_110_100_010_001
    leds.show([])
    assert driver.word("RevPiLED") == 0


def test_only_what_changes_is_written_and_other_outputs_are_kept() -> None:
    driver = FakeDriver(**CONNECT4)
    driver.image[10], driver.image[12] = 0xFF, 0x80
    leds = FrontLeds(PiControl(driver.open), 1)
    for _ in range(3):
        leds.show([RED])
    assert (driver.writes, bytes(driver.image[10:13])) == (3, b"\xff\x01\x80")


def test_a_device_before_the_connect_4_has_green_and_red() -> None:
    driver = FakeDriver(RevPiLED=(6, 0, 8))
    # The relay at X2.
    driver.image[6] = 0b0100_0000
    leds = FrontLeds(PiControl(driver.open), 3)
    leds.show([RED, GREEN, CYAN])
    assert driver.word("RevPiLED") == 0b0101_0110
    leds.close()
    leds.close()
    assert driver.word("RevPiLED") == 0b0100_0000
    with pytest.raises(DeviceUnavailableError, match="closed"):
        leds.show([])


def test_more_leds_than_there_are_is_a_mistake_of_the_configuration() -> None:
    leds = FrontLeds(PiControl(FakeDriver(**CONNECT4).open), 6)
    with pytest.raises(HardwareNotInstalledError, match=r"found 5 LEDs in RevPiLED, .*count = 6"):
        leds.show([])


@pytest.mark.parametrize(
    ("pixel", "colors"),
    [
        (Color(0, 0, 0), [False, False, False]),
        (Color(255, 128, 0), [True, True, False]),
        (Color(255, 60, 0), [True, False, False]),
        (Color(10, 10, 10), [True, True, True]),
    ],
)
def test_a_mixed_colour_becomes_the_nearest_of_seven(pixel: Color, colors: list[bool]) -> None:
    assert lit(pixel) == colors


def test_a_variable_that_is_not_configured_is_named() -> None:
    leds = FrontLeds(PiControl(FakeDriver().open), 1)
    with pytest.raises(HardwareNotInstalledError, match=r"no variable RevPiLED: .*PiCtory"):
        leds.show([RED])


def test_after_a_reset_of_the_driver_all_leds_are_written_again() -> None:
    driver = FakeDriver(**CONNECT4)
    leds = FrontLeds(PiControl(driver.open), 1)
    leds.show([RED])
    driver.error = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    with pytest.raises(DeviceUnavailableError, match="piControl0: Resource temporarily"):
        leds.show([GREEN])
    driver.error = None
    driver.image[:] = bytes(4096)
    leds.show([RED])
    assert driver.word("RevPiLED") == 1
    assert (driver.opened, driver.is_open) == (2, 1)


def test_a_bit_may_be_in_a_later_byte() -> None:
    driver = FakeDriver()
    PiControl(driver.open).set_bit(Variable(100, 6, 1), 3, on=True)
    assert bytes(driver.image[100:102]) == b"\x00\x02"


def test_a_machine_without_the_driver_is_told_so() -> None:
    with pytest.raises(HardwareNotInstalledError, match=r"piControl0: No such file.*picontrol"):
        PiControl(lambda: KernelDevice("/dev/no-such-piControl0")).find("RevPiLED")


def test_the_kernels_thermal_zone_is_asked_before_the_whole_degrees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = FakeDriver(**CONNECT4)
    driver.image[4] = 47
    pi_control = PiControl(driver.open)
    monkeypatch.setattr(system, "cpu_temperature_c", lambda: 47.312)
    assert temperature.cpu_temperature_c(pi_control) == 47.312
    assert driver.opened == 0
    monkeypatch.setattr(system, "cpu_temperature_c", lambda: None)
    assert temperature.cpu_temperature_c(pi_control) == 47.0


@pytest.mark.parametrize("driver", [FakeDriver(), FakeDriver(**CONNECT4)])
def test_a_temperature_that_is_not_measured_is_absent(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "cpu_temperature_c", lambda: None)
    assert temperature.cpu_temperature_c(PiControl(driver.open)) is None
    driver.open_error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert temperature.cpu_temperature_c(PiControl(driver.open)) is None


def test_a_value_that_is_cut_off_is_bad_data() -> None:
    pi_control = PiControl(FakeDriver().open)
    with pytest.raises(BadDeviceDataError, match="found 1 bytes at 4095, expected 2"):
        pi_control.read(Variable(4095, 0, 16))
