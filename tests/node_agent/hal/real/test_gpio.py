"""Our use of RPi.GPIO for digital pins, against a stand-in that refuses what the module does."""

import sys
import threading
import types
from collections.abc import Iterator

import pytest

from bus.errors import BadDataError
from node_agent.hal.errors import DeviceUnavailableError, HardwareNotInstalledError
from node_agent.hal.gpio import InputMode
from node_agent.hal.real.gpio import RaspberryGpio
from tests.node_agent.hal.real.rpi_gpio import RpiGpio

BUTTON = InputMode("up", "falling", 20)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[RpiGpio]:
    fake = RpiGpio()
    package = types.ModuleType("RPi")
    monkeypatch.setattr(package, "GPIO", fake, raising=False)
    monkeypatch.setitem(sys.modules, "RPi", package)
    monkeypatch.setitem(sys.modules, "RPi.GPIO", fake)
    yield fake
    fake.end()


def press(module: RpiGpio, pin: int, at_ms: float) -> None:
    """Pull a pin low for 100 ms; the contact bounces for 2 ms."""
    for level, after_ms in ((False, 0), (None, 1), (False, 2), (None, 100)):
        module.drive_outside(pin, level, at_ms + after_ms)
    module.settle()


def test_an_input_has_its_pull_and_its_level(module: RpiGpio) -> None:
    pins = RaspberryGpio()
    for pin, pull in ((17, "up"), (5, "down"), (6, "none")):
        pins.set_input(pin, InputMode(pull, "both"))
    assert [entry[3] for entry in module.log] == [module.PUD_UP, module.PUD_DOWN, module.PUD_OFF]
    assert (pins.is_high(17), pins.is_high(5)) == (True, False)
    module.drive_outside(17, False, 0)
    assert not pins.is_high(17)


def test_a_bouncing_press_counts_once(module: RpiGpio) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    for number in range(3):
        press(module, 17, number * 1000)
    assert pins.edges(17) == 3


@pytest.mark.parametrize(("edge", "count"), [("rising", 1), ("falling", 1), ("both", 2)])
def test_the_chosen_edges_are_counted(module: RpiGpio, edge: str, count: int) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, InputMode("down", edge))
    module.drive_outside(17, True, 0)
    module.drive_outside(17, False, 50)
    module.settle()
    assert pins.edges(17) == count


def test_setting_up_again_the_same_does_nothing_and_another_mode_counts_on(
    module: RpiGpio,
) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    pins.set_input(17, BUTTON)
    assert len(module.log) == 1
    press(module, 17, 0)
    pins.set_input(17, InputMode("up", "both"))
    module.drive_outside(17, False, 5000)
    module.drive_outside(17, None, 6000)
    module.settle()
    assert pins.edges(17) == 3


def test_an_output_is_at_its_level_before_it_is_driven(module: RpiGpio) -> None:
    pins = RaspberryGpio()
    pins.drive(22, high=True, safe_high=False)
    pins.drive(22, high=False, safe_high=False)
    assert module.log == [
        ("setup", 22, module.OUT, module.PUD_OFF, module.HIGH),
        ("output", 22, module.LOW),
    ]


def test_closing_leaves_outputs_driven_at_their_safe_levels_and_gives_inputs_back(
    module: RpiGpio,
) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    pins.drive(22, high=True, safe_high=False)
    pins.drive(23, high=False, safe_high=True)
    pins.close()
    pins.close()
    outputs = {pin: (module.channels[pin].direction, module.channels[pin].out) for pin in (22, 23)}
    assert outputs == {22: (module.OUT, module.LOW), 23: (module.OUT, module.HIGH)}
    assert (module.channels[17].direction, module.channels[17].edge) == (None, None)
    with pytest.raises(DeviceUnavailableError, match="gpio is closed"):
        pins.drive(22, high=True, safe_high=False)


def test_without_edge_detection_the_level_is_read_and_the_remedy_named(module: RpiGpio) -> None:
    module.has_edges = False
    pins = RaspberryGpio()
    pins.set_input(17, BUTTON)
    assert pins.is_high(17)
    with pytest.raises(
        HardwareNotInstalledError, match=r"gpio17: Failed to add edge detection: .*rpi-lgpio"
    ):
        pins.edges(17)


def test_a_pin_that_is_no_input_is_named() -> None:
    with pytest.raises(HardwareNotInstalledError, match="gpiod is missing"):
        RaspberryGpio().is_high(17)


def test_a_pin_that_was_not_set_up_is_named(module: RpiGpio) -> None:
    pins = RaspberryGpio()
    for ask in (pins.is_high, pins.edges):
        with pytest.raises(BadDataError, match=r"gpio17 is no input yet, expected set_input\(\)"):
            ask(17)


def test_any_thread_may_ask_while_edges_arrive(module: RpiGpio) -> None:
    pins = RaspberryGpio()
    pins.set_input(17, InputMode("up", "both"))
    counts: list[int] = []

    def ask() -> None:
        counts.extend(pins.edges(17) for _ in range(200))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for number in range(200):
        module.drive_outside(17, number % 2 == 1, number)
    for thread in asking:
        thread.join(60)
    module.settle()
    assert pins.edges(17) == 200
    assert all(0 <= count <= 200 for count in counts)
