"""Numbers that a plugin's source hands to the host: its LEDs and pins, as far as they are written.

A number is written where it is a literal, or a constant of a module.
"""

import ast
from collections.abc import Collection, Iterable
from pathlib import Path

from harvester.plugins.builder.least_world import parse


def numbers(files: Iterable[Path], calls: Collection[str]) -> set[int] | None:
    """Return the first arguments of `calls`, such as `led_controller.set_led`.

    None where one of them is computed. Raises BuildError where a file is no Python.
    """
    trees = [parse(file) for file in files]
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
