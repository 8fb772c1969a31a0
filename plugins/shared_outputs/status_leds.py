"""LEDs that show states by colour; which LED shows which state may change at any time."""

from collections.abc import Mapping

from colors import COLORS
from wit_world.imports import led_controller

# The setting of a plugin or a sensor that lights no LED.
NO_LED = -1


class StatusLeds:
    """The LEDs of one plugin. One that is no longer in use goes dark."""

    def __init__(self) -> None:
        self._lit: set[int] = set()

    def show(self, colors: Mapping[int, str]) -> None:
        """Show a colour on each LED by its index; `NO_LED` is none."""
        used = {index: color for index, color in colors.items() if index != NO_LED}
        for index in sorted(self._lit - used.keys()):
            led_controller.set_led(index, *COLORS["dark"])
        for index, color in used.items():
            led_controller.set_led(index, *COLORS[color])
        self._lit = set(used)
        led_controller.sync_leds()
