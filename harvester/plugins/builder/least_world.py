"""The part of a plugin's world that its source uses, so that a component asks for no more.

A world names what a plugin may ever import, and a host refuses a component whose imports its node
does not grant. A sensor on I2C should not have to be granted the serial port.
"""

import ast
import re
import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from harvester.errors import BuildError
from harvester.plugins.builder.checks import source_text
from harvester.plugins.builder.checks.source_text import Span
from harvester.plugins.builder.imports import import_scan
from harvester.plugins.builder.imports.walk import walk

NAME = "least"
_IMPORTS = "wit_world.imports"
_EVERYTHING = "*"
# Plugins are built side by side, and Python 3.11 counts the depth of all threads' trees together
# (CPython issue 106905).
_parsing = threading.Lock()
# What Python says of source that no version of it parses.
_TOO_MANY = "too many "


class NotParsedError(BuildError):
    """Source that this Python does not parse; a newer one may."""


def contract(wit: str, world: str, sources: Iterable[Path]) -> str:
    """Return the contract `wit` with one more world, NAME: `world` less the imports not used.

    Raises BuildError where the contract has no such world or a source is no Python.
    """
    found = re.search(rf"^world {re.escape(world)} \{{(.*?)^\}}", wit, re.MULTILINE | re.DOTALL)
    if found is None:
        known = ", ".join(re.findall(r"^world (\S+)", wit, re.MULTILINE))
        raise BuildError(f"world: found {world!r}, expected one of {known}")
    used = used_interfaces(sources)
    kept = [line for line in found.group(1).splitlines() if _is_kept(line, used)]
    return "\n".join((wit, f"world {NAME} {{", *kept, "}", ""))


def used_interfaces(sources: Iterable[Path]) -> set[str]:
    """Return the interfaces that Python sources import, in WIT's spelling; `*` where it is open."""
    names: set[str] = set()
    for source in sources:
        for visited in walk(parse(source)):
            names.update(_interfaces(visited.node))
    return {name.replace("_", "-") for name in names}


def interfaces_in(texts: Iterable[str]) -> set[str]:
    """Return the same for the texts of modules, which this Python need not be able to parse."""
    names: set[str] = set()
    for text in texts:
        for found in import_scan.imports(text):
            names.update(_named(found.module, found.names))
    return {name.replace("_", "-") for name in names}


def parse(source: Path) -> ast.Module:
    """Return a module's syntax tree. Raises BuildError, with the place, where it is no Python."""
    return parse_text(source, source_text.read(source))


def parse_text(source: Path, text: str) -> ast.Module:
    """Return the same of a module's text.

    Raises NotParsedError where it is no Python of this version, BuildError of what none can run.
    """
    try:
        with _parsing:
            return ast.parse(text, str(source))
    except SyntaxError as e:
        kind = BuildError if e.msg.startswith(_TOO_MANY) else NotParsedError
        raise kind(source_text.mistake(_span(source, text, e), e.msg, text)) from e
    except (RecursionError, MemoryError) as e:
        raise BuildError(f"{source}:1: an expression in it is nested too deep") from e


def _span(source: Path, text: str, error: SyntaxError) -> Span:
    """Return the place of an error, whose columns count letters from 1."""
    line = error.lineno or 1
    letters = [*text.split("\n"), ""][line - 1]
    return Span(source, line, len(letters[: max((error.offset or 1) - 1, 0)].encode()))


def _interfaces(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [name for alias in node.names for name in _named(alias.name, ())]
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return ()
    return _named(node.module, [alias.name for alias in node.names])


def _named(module: str, names: Collection[str]) -> Iterable[str]:
    """Return the interfaces that one import names; no `names` are of `import module`."""
    if names and module == _IMPORTS:
        return names
    if names and module == "wit_world":
        return (_EVERYTHING,) if "imports" in names else ()
    return (_first_below(module),) if _is_ours(module) else ()


def _is_ours(module: str) -> bool:
    return module in ("wit_world", _IMPORTS) or module.startswith(f"{_IMPORTS}.")


def _first_below(module: str) -> str:
    """Return the interface in `wit_world.imports.<interface>`; a whole package is everything."""
    below = module.removeprefix(_IMPORTS).removeprefix(".")
    return _EVERYTHING if below in ("", "wit_world") else below.split(".")[0]


def _is_kept(line: str, used: set[str]) -> bool:
    imported = re.match(r"\s*import ([\w-]+);", line)
    return imported is None or _EVERYTHING in used or imported.group(1) in used
