"""Numbers that a plugin's source hands to the host: its LEDs and pins, as far as they are written.

A number is written where it is a literal, or a constant of a module.
"""

import ast
from collections.abc import Collection, Iterable
from pathlib import Path

from harvester.errors import BuildError
from harvester.plugins.builder.least_world import parse

LED_CALLS = frozenset({"led_controller.set_led"})
INPUT_CALLS = frozenset({"gpio.set_input", "gpio.read", "gpio.take_edges"})
OUTPUT_CALLS = frozenset({"gpio.write"})
ADDRESS_CALLS = frozenset({"i2c.transfer"})


def grant_lines(files: Iterable[Path]) -> dict[str, str]:
    """Return the lines of a node's configuration that grant what is written, by their key.

    A key is missing where a number is not known.
    """
    read = list(files)
    leds, addresses = numbers(read, LED_CALLS), numbers(read, ADDRESS_CALLS)
    inputs, outputs = numbers(read, INPUT_CALLS), numbers(read, OUTPUT_CALLS)
    lines = {}
    if leds:
        lines["leds"] = f"leds = {sorted(leds)}"
    if addresses:
        quoted = ", ".join(f'"0x{address:02x}"' for address in sorted(addresses))
        lines["i2c"] = f"i2c = [{quoted}]"
    if inputs:
        lines["inputs"] = f"inputs = {sorted(inputs)}"
    if outputs:
        pins = ", ".join(f'{{ pin = {pin}, safe = "low" }}' for pin in sorted(outputs))
        lines["outputs"] = f"outputs = [{pins}]"
    return lines


def numbers(files: Iterable[Path], calls: Collection[str]) -> set[int] | None:
    """Return the first arguments of `calls`, such as `led_controller.set_led`.

    None where one of them is computed, or where this Python cannot parse a file: the guest's may
    be newer, and tells a mistake when it loads the plugin.
    """
    try:
        trees = [parse(file) for file in files]
    except BuildError:
        return None
    constants = {name: value for tree in trees for name, value in _constants(tree)}
    found: set[int] = set()
    for call in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if _name(call.func) not in calls:
            continue
        number = _number(call.args[0] if call.args else None, constants)
        if number is None:
            return None
        found.add(number)
    return found


def _constants(tree: ast.Module) -> Iterable[tuple[str, int]]:
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Constant):
            continue
        value = node.value.value
        if isinstance(value, int):
            yield from ((t.id, value) for t in node.targets if isinstance(t, ast.Name))


def _name(function: ast.expr) -> str:
    """Return `module.function`, or nothing for a call of another form."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return ""


def _number(argument: ast.expr | None, constants: dict[str, int]) -> int | None:
    if isinstance(argument, ast.Constant) and isinstance(argument.value, int):
        return argument.value
    return constants.get(argument.id) if isinstance(argument, ast.Name) else None
