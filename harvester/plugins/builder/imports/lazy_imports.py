"""Modules and codecs that a plugin's source loads only when it runs, found in its syntax trees.

A component has no files to import from: what it is to import later has to be loaded while it is
built. An import at the top of a module is; this finds those inside functions, those that functions
of the standard library make on their own, and codecs that are named in strings.
"""

import ast
import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

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
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
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
        found += _Finder(place, relative).find(tree)
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
        name, first = ast.unparse(node.func).rpartition(".")[2], node.args[0]
        if name in _CALLS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value, ()


class _Finder(ast.NodeVisitor):
    """Collects the imports inside functions of one module."""

    def __init__(self, place: int, relative: Path) -> None:
        self._place = place
        self._file = str(relative)
        self._package = _package(relative)
        self._depth = 0
        self._guards = 0
        self._found: list[LazyImport] = []

    def find(self, tree: ast.Module) -> list[LazyImport]:
        self.visit(tree)
        return self._found

    def generic_visit(self, node: ast.AST) -> None:
        self._note_implied(node)
        # A call imports when it runs, and a name that is built is no import at all.
        if self._depth or isinstance(node, ast.Call):
            for module, names in _modules(node, self._package):
                self._add(module, names, node, may_fail=self._guards > 0)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        self._depth += inside
        super().generic_visit(node)
        self._depth -= inside

    def visit_Try(self, node: ast.Try) -> None:
        guarded = any(_catches_import_errors(handler.type) for handler in node.handlers)
        self._guards += guarded
        for statement in node.body:
            self.visit(statement)
        self._guards -= guarded
        for rest in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(rest)

    def visit_With(self, node: ast.With) -> None:
        guarded = any("suppress" in ast.unparse(item.context_expr) for item in node.items)
        self._guards += guarded
        self.generic_visit(node)
        self._guards -= guarded

    def _note_implied(self, node: ast.AST) -> None:
        name = getattr(node, "attr", None) or getattr(node, "id", None)
        if isinstance(name, str) and name in _IMPLIED:
            self._add(_IMPLIED[name], (), node, may_fail=True)

    def _add(self, module: str, names: tuple[str, ...], node: ast.AST, *, may_fail: bool) -> None:
        if module.partition(".")[0] != _WORLD:
            line = getattr(node, "lineno", 1)
            self._found.append(LazyImport(module, names, self._place, self._file, line, may_fail))


def _catches_import_errors(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds: Iterable[ast.expr] = kind.elts if isinstance(kind, ast.Tuple) else (kind,)
    return any(ast.unparse(one).rpartition(".")[2] in _IMPORT_ERRORS for one in kinds)


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
