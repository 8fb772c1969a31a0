"""Numbers of host calls as a plugin's source has them."""

from pathlib import Path

import pytest

from harvester.host_calls import numbers

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
