"""Numbers of host calls as a plugin's source has them."""

from pathlib import Path

import pytest

from bus.config import config_file
from harvester.host_calls import grant_lines, numbers

SET_LED = {"led_controller.set_led"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "LED = 4\nled_controller.set_led(LED, 0, 0, 0)\nled_controller.set_led(5, 1, 1, 1)",
            {4, 5},
        ),
        ("led_controller.set_all(1, 2, 3)\nset_led(7)\nother.set_led(8)", set()),
        ("led_controller.set_led(2 + 2, 0, 0, 0)", None),
        ("LED = number()\nled_controller.set_led(LED, 0, 0, 0)", None),
        ("led_controller.set_led()", None),
        ("type Led = int\nled_controller.set_led(5, 0, 0, 0)", None),
    ],
)
def test_a_number_is_known_where_it_is_written(
    tmp_path: Path, source: str, found: set[int] | None
) -> None:
    file = tmp_path / "app.py"
    file.write_text(source)
    assert numbers([file], SET_LED) == found


def test_a_constant_may_be_in_another_module(tmp_path: Path) -> None:
    app, constants = tmp_path / "app.py", tmp_path / "constants.py"
    app.write_text("from constants import LED\nled_controller.set_led(LED, 0, 0, 0)\n")
    constants.write_text("LED = 6\n")
    assert numbers([app, constants], SET_LED) == {6}


def test_grants_are_the_lines_of_a_configuration(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(
        "ADDRESS = 0x23\ni2c.transfer(ADDRESS, '', 2)\nled_controller.set_led(4, 0, 0, 0)\n"
        "gpio.read(17)\ngpio.write(22, True)\n"
    )
    lines = grant_lines([app])
    assert lines == {
        "leds": "leds = [4]",
        "i2c": 'i2c = ["0x23"]',
        "inputs": "inputs = [17]",
        "outputs": 'outputs = [{ pin = 22, safe = "low" }]',
    }
    table = "\n".join(("[plugins.grants.light]", *lines.values()))
    (tmp_path / "spoke.toml").write_text(table)
    assert config_file.load(tmp_path / "spoke.toml").plugins.grants["light"].leds == [4]


def test_what_is_computed_or_not_called_is_in_no_line(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("i2c.transfer(2 + 2, '', 2)\nled_controller.clear()\n")
    assert grant_lines([tmp_path / "app.py"]) == {}
