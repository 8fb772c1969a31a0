"""Modules and codecs that a plugin's source loads only when it runs, found in its syntax trees.

A component has no files to import from: what it is to import later has to be loaded while it is
built. An import at the top of a module is; this finds those inside functions, those that functions
of the standard library make on their own, and codecs that are named in strings.
"""

import ast
import codecs
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harvester.plugins.builder.imports.walk import walk
from harvester.plugins.builder.least_world import parse
from harvester.plugins.source import PluginSource

# What a function of the standard library imports when it is first called.
_IMPLIED = {
    "strptime": "_strptime",
    "most_common": "heapq",
    "getpreferredencoding": "locale",
    "singledispatch": "typing",
    "getnode": "uuid",
    "ZoneInfo": "importlib.resources",
}
_CODEC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ .-]{1,23}")
_CALLS = frozenset({"__import__", "import_module"})
_WORLD = "wit_world"


class LazyImport(msgspec.Struct, frozen=True):
    """`module`, with `names` from it; `place` is the folder's place in the Python path."""

    module: str
    names: tuple[str, ...]
    place: int
    file: str
    line: int
    may_fail: bool = False


def find(source: PluginSource) -> tuple[list[LazyImport], list[str]]:
    """Return what the modules that `app` reaches load when they run: imports, codecs by name.

    Raises BuildError where one of them is no Python.
    """
    found: list[LazyImport] = []
    names: set[str] = set()
    for place, file, tree in _reached(source):
        relative = file.relative_to(source.python_paths[place])
        found += _lazy(tree, place, relative)
        names.update(_codecs(tree))
    return found, sorted(names)


def _reached(source: PluginSource) -> Iterator[tuple[int, Path, ast.Module]]:
    """Yield the modules that `app` imports, directly or not."""
    waiting, seen = ["app"], {"app"}
    while waiting:
        located = _locate(source, waiting.pop())
        if located is None:
            continue
        place, file = located
        tree = parse(file)
        yield place, file, tree
        package = _package(file.relative_to(source.python_paths[place]))
        for module, names in _imported(tree, package):
            parts = module.split(".")
            reached = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
            reached |= {f"{module}.{name}" for name in names}
            waiting += sorted(reached - seen)
            seen |= reached


def _locate(source: PluginSource, module: str) -> tuple[int, Path] | None:
    path = Path(*module.split("."))
    for place, folder in enumerate(source.python_paths):
        for file in (folder / path / "__init__.py", folder / path.with_suffix(".py")):
            if file.is_file():
                return place, file
    return None


def _package(relative: Path) -> list[str]:
    return list(relative.parent.parts)


def _imported(tree: ast.AST, package: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for node in ast.walk(tree):
        yield from _modules(node, package)


def _modules(node: ast.AST, package: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the modules, and names from them, that one statement or call imports."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, ()) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) + 1 - node.level] if node.level else []
        module = ".".join((*base, *((node.module or "").split(".") if node.module else ())))
        if module:
            yield module, tuple(alias.name for alias in node.names if alias.name != "*")
    elif isinstance(node, ast.Call) and node.args:
        first = node.args[0]
        if (
            _name(node.func) in _CALLS
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
        ):
            yield first.value, ()


def _lazy(tree: ast.Module, place: int, relative: Path) -> Iterator[LazyImport]:
    """Yield the imports inside functions of one module."""
    for node, is_in_function, may_fail in walk(tree):
        line = getattr(node, "lineno", 1)
        implied = _implied(node)
        if implied:
            yield LazyImport(implied, (), place, str(relative), line, may_fail=True)
        # A call imports when it runs, and a name that is built is no import at all.
        if is_in_function or isinstance(node, ast.Call):
            for module, names in _modules(node, _package(relative)):
                if module.partition(".")[0] != _WORLD:
                    yield LazyImport(module, names, place, str(relative), line, may_fail)


def _implied(node: ast.AST) -> str:
    """Return what a function of the standard library, named here, imports; mostly nothing."""
    return _IMPLIED.get(_name(node), "")


def _name(node: ast.AST) -> str:
    """Return the name that is looked up by a node, the last of several; mostly nothing."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _codecs(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and _CODEC_NAME.fullmatch(text) and _is_codec(text):
            yield text


def _is_codec(name: str) -> bool:
    try:
        codecs.lookup(name)
    except (LookupError, ImportError):
        return False
    return True
