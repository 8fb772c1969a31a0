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
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*_DEFINITIONS, *_COMPREHENSIONS, ast.Lambda)
# What else binds a name.
_NAMED = (*_DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


def unknown_keys(
    file: Path, tree: ast.Module, known: Collection[str]
) -> Iterator[tuple[Span, str]]:
    """Yield place and sentence of each call that names a key, as a text, that is not known."""
    if not any(_imports_settings(node) for node in tree.body):
        return
    for call in _calls(tree):
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


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield the calls where the name of the interface is not that of something else."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Module, *_SCOPES)) and any(map(_rebinds, _in_scope(node))):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _in_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, without what is in those inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _rebinds(node: ast.AST) -> bool:
    """Return whether a node binds the name of the interface to something else."""
    if isinstance(node, ast.Name):
        return node.id == _INTERFACE and not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        return _INTERFACE in names and not _imports_settings(node)
    if isinstance(node, ast.arg):
        return node.arg == _INTERFACE
    if isinstance(node, ast.MatchMapping):
        return node.rest == _INTERFACE
    return isinstance(node, _NAMED) and node.name == _INTERFACE


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
