"""Keys of settings that a plugin's source asks the host for, checked against `plugin.toml`.

A key that is not described has no value, and the plugin would run without the owner's.
"""

import ast
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from harvester.plugins.builder.checks import source_text
from harvester.plugins.builder.checks.source_text import Span

_INTERFACE = "settings"
_IMPORTS = "wit_world.imports"
# The functions, and where in their arguments the key is.
_KEY_PLACES = {"get": 0, "get_for": 1}


def unknown_keys(
    file: Path, tree: ast.Module, known: Collection[str]
) -> Iterator[tuple[Span, str]]:
    """Yield place and sentence of each call that names a key, as a text, that is not known."""
    if not any(_imports_settings(node) for node in tree.body):
        return
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        key = _key(call)
        if key is not None and key not in known:
            expected = f"one of {', '.join(known)}" if known else "none: it has no [settings.KEY]"
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield (
                source_text.span(file, call),
                (
                    f"{ast.unparse(call.func)}: found {key!r}, which plugin.toml does not "
                    f"describe, expected {expected}{hint}"
                ),
            )


def _imports_settings(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == _IMPORTS
        and any(alias.name == _INTERFACE and not alias.asname for alias in node.names)
    )


def _key(call: ast.Call) -> str | None:
    """Return the key where it is written in the call itself."""
    function = call.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return None
    place = _KEY_PLACES.get(function.attr)
    if function.value.id != _INTERFACE or place is None or len(call.args) <= place:
        return None
    argument = call.args[place]
    value = argument.value if isinstance(argument, ast.Constant) else None
    return value if isinstance(value, str) else None
