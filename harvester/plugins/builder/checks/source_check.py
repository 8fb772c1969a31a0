"""Mistakes of a plugin's source that show without running it, each with its file and line.

A build takes seconds and reports these in the toolchain's words; this takes milliseconds. What
cannot be told from the source alone is left to the build.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harvester.errors import BuildError
from harvester.plugins.builder.checks import setting_keys, source_text
from harvester.plugins.builder.checks.source_text import Span, mistake
from harvester.plugins.builder.contract import Contract, World, class_name, module_name
from harvester.plugins.builder.imports.walk import walk
from harvester.plugins.builder.least_world import NotParsedError, parse_text
from harvester.plugins.source import PluginSource, python_files

APP = "app.py"
_IMPORTS = "wit_world.imports"
_EXPORTS = "wit_world.exports"

Mistake = tuple[Span, str]


def check(source: PluginSource, contract: Contract, *, leaves_syntax: bool = False) -> None:
    """Raise BuildError with a line a mistake: an unknown interface, class, function or setting.

    With `leaves_syntax`, a file that this Python cannot parse is left to the guest's, which may be
    newer.
    """
    world = contract.worlds.get(source.manifest.world)
    if world is None:
        known = ", ".join(contract.worlds)
        raise BuildError(
            f"{source.directory / 'plugin.toml'}: world: found {source.manifest.world!r}, "
            f"expected one of {known}"
        )
    app = source.directory / APP
    if not app.is_file():
        raise BuildError(f"{app}: not found; expected a module with class {_wanted(world)}")
    # A shared folder may hold what only plugins of other worlds use.
    files = [file for file in python_files(source) if file.is_relative_to(source.directory)]
    texts = {file: source_text.read(file) for file in files}
    own = dict(_trees(texts, leaves_syntax=leaves_syntax))
    found = [problem for file, tree in own.items() for problem in _imports(file, tree, world)]
    if app in own:
        found += _exports(app, own[app], world, contract)
    settings = source.manifest.settings
    for file, tree in own.items():
        found += setting_keys.unknown_keys(file, tree, settings)
    if found:
        raise BuildError("\n".join(mistake(at, said, texts[at.file]) for at, said in found))


def _trees(texts: Mapping[Path, str], *, leaves_syntax: bool) -> Iterator[tuple[Path, ast.Module]]:
    for file, text in texts.items():
        try:
            yield file, parse_text(file, text)
        except NotParsedError:
            if not leaves_syntax:
                raise


def _wanted(world: World) -> str:
    return " and ".join(class_name(interface) for interface in world.exports)


def _imports(file: Path, tree: ast.Module, world: World) -> Iterator[Mistake]:
    """Yield the imports of interfaces that the world does not have, unless they may fail."""
    offered = {_IMPORTS: world.imports, _EXPORTS: world.exports}
    for node, _, may_fail in walk(tree):
        if may_fail or not isinstance(node, ast.ImportFrom):
            continue
        for package, interfaces in offered.items():
            names = {module_name(interface) for interface in interfaces}
            wanted = _wanted_modules(node, package)
            if package == _EXPORTS and node.module == package:
                names |= {class_name(interface) for interface in interfaces}
            for name in wanted - names - {"*"}:
                yield (
                    source_text.span(file, node),
                    (
                        f"the plugin's world has no {package}.{name}; "
                        f"expected one of {', '.join(sorted(names)) or 'none'}"
                    ),
                )


def _wanted_modules(node: ast.ImportFrom, package: str) -> set[str]:
    if node.module == package:
        return {alias.name for alias in node.names}
    if node.module is not None and node.module.startswith(f"{package}."):
        return {node.module.removeprefix(f"{package}.").partition(".")[0]}
    return set()


def _exports(app: Path, tree: ast.Module, world: World, contract: Contract) -> Iterator[Mistake]:
    """Yield the classes that the world asks for and `app` lacks, and the methods they lack."""
    if any(_is_star(node) for node in tree.body):
        return
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for interface in world.exports:
        name = class_name(interface)
        if name in classes:
            functions = map(module_name, contract.functions.get(interface, []))
            yield from _methods(app, tree, classes[name], functions)
        elif name not in _bound(tree):
            others = [f"{cls.name} on line {cls.lineno}" for cls in classes.values()]
            found = f"found {', '.join(others)}" if others else "found no class"
            first = next(iter(classes.values()), None)
            at = Span(app, 1, None) if first is None else source_text.span(app, first)
            yield at, f"{found}, expected class {name}, which exports {interface}"


def _methods(
    app: Path, tree: ast.Module, cls: ast.ClassDef, functions: Iterable[str]
) -> Iterator[Mistake]:
    # What a decorator, a metaclass or another base brings is not seen here.
    if cls.decorator_list or cls.keywords or not all(_is_export(tree, base) for base in cls.bases):
        return
    bound = _bound(cls) | _set_later(tree)
    if "__getattr__" in bound:
        return
    for function in functions:
        if function not in bound:
            yield source_text.span(app, cls), f"class {cls.name} has no {function}()"


def _is_export(tree: ast.Module, base: ast.expr) -> bool:
    """Return whether a base is a class of the contract's, which has no functions of its own."""
    package, _, name = ast.unparse(base).rpartition(".")
    if package == _EXPORTS or name == "object":
        return True
    imported = (node for node in tree.body if isinstance(node, ast.ImportFrom))
    return package == "exports" and any(
        node.module == "wit_world" and any(alias.name == package for alias in node.names)
        for node in imported
    )


def _set_later(tree: ast.Module) -> set[str]:
    """Return the attributes that a module sets by their name, as by `SensorLogic.poll = poll`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
            names.update(str(one.value) for one in node.args if isinstance(one, ast.Constant))
    return names


def _bound(scope: ast.Module | ast.ClassDef) -> set[str]:
    """Return the names that a module or class binds anywhere, by whatever statement."""
    names: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    return names


def _is_star(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
