"""Calls of a shadow run that would have had an effect, and their lines in a report."""

from collections.abc import Callable
from typing import Any

from node_agent.recorder.answers import EFFECTS
from node_agent.sandbox.instance import Imports

MAX_LINE_CHARS = 200


class EffectLog:
    """Log of the calls that would have had an effect."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def logged(self, imports: Imports) -> Imports:
        """Return `imports` such that each of those calls is logged."""
        return {
            interface: {
                name: self._called(interface, name, function)
                if interface in EFFECTS and not name.startswith("get-")
                else function
                for name, function in functions.items()
            }
            for interface, functions in imports.items()
        }

    def _called(self, interface: str, name: str, function: Callable[..., Any]) -> Any:
        def called(*arguments: Any) -> Any:
            self.lines.append(line_of(interface, name, arguments))
            return function(*arguments)

        return called


def line_of(interface: str, function: str, arguments: Any) -> str:
    """Return for example `led_controller.set_led(4, 0, 255, 0)`."""
    name = f"{interface}.{function}".replace("-", "_")
    return f"{name}({', '.join(map(repr, arguments))})"[:MAX_LINE_CHARS]
