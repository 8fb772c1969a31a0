"""Type stubs of the modules that plugins import: `wit_world` and `componentize_py_types`.

They are made from the compiler's own bindings, without the imports and modules there that no plugin
needs. No world and no interface is named here.
"""

import ast
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from harvester.errors import BuildError
from harvester.plugins.builder import contract
from harvester.plugins.builder.toolchain import compiler

_HEADER = "# Written by `harvester plugins stubs` from wit/plugin.wit."
_PACKAGE = "wit_world"
_TYPES = "componentize_py_types"
_TIMEOUT_S = 60
_RAISES = re.compile(rf"Raises: `{_TYPES}\.Err\({_PACKAGE}\.imports\.(\w+)\)`")
# Names that generated code uses, by the module to import them from.
_ORIGINS = {
    "abc": ["abstractmethod"],
    "dataclasses": ["dataclass"],
    "typing": ["Generic", "Protocol", "TypeVar"],
    _TYPES: ["Err", "Ok", "Result", "Some"],
}
_BUILT_IN = {"List": "list", "Tuple": "tuple"}


def stubs(wit: Path) -> dict[str, str]:
    """Return every stub file: its path below `stubs/`, and its text.

    Raises ToolMissingError without the compiler, and BuildError where it refuses the contract.
    """
    worlds = contract.read(wit.read_text()).worlds
    with tempfile.TemporaryDirectory() as directory:
        _generate(wit, list(worlds), Path(directory))
        return dict(_stub_files(Path(directory)))


def write_stubs(wit: Path, target: Path) -> list[Path]:
    """Write the stubs below `target`, remove the previous ones, and return the files."""
    found = stubs(wit)
    for old in target.rglob("*.pyi"):
        old.unlink()
    written = []
    for name, text in found.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _generate(wit: Path, worlds: list[str], directory: Path) -> None:
    command = [str(compiler()), "--quiet", "-d", str(wit)]
    command += [part for world in worlds for part in ("-w", world)]
    done = subprocess.run(  # noqa: S603 - the compiler, no shell
        [*command, "bindings", str(directory)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"{wit}: {done.stderr.strip()}")


def _stub_files(directory: Path) -> Iterator[tuple[str, str]]:
    for module in (directory / f"{_TYPES}.py", *sorted((directory / _PACKAGE).rglob("*.py"))):
        name = module.relative_to(directory).with_suffix(".pyi")
        package = [p.stem for p in sorted(module.parent.glob("[!_]*.py"))]
        text = module.read_text(encoding="utf-8")
        # The package's `__init__` is empty, but for what its modules are called.
        yield str(name), stub(text, package if module.name == "__init__.py" else [])


def stub(source: str, siblings: list[str]) -> str:
    """Return the stub of one generated module, which re-exports its `siblings`."""
    tree = _Modern().visit(ast.parse(source))
    definitions = [text for node in tree.body if (text := _definition(node))]
    imports = [*_imports(tree), *(f"from . import {name} as {name}" for name in siblings)]
    head = [_HEADER, *_docstring(tree)]
    blocks = ["\n".join(head), "\n".join(imports), *definitions]
    return "\n\n".join(block for block in blocks if block) + "\n"


class _Modern(ast.NodeTransformer):
    """Spells types as Python does since 3.10."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.value)
        if name == "Optional":
            return _union([node.slice, ast.Constant(None)])
        if name == "Union" and isinstance(node.slice, ast.Tuple):
            return _union(node.slice.elts)
        if name in _BUILT_IN:
            node.value = ast.Name(_BUILT_IN[name], ast.Load())
        return node


def _union(types: list[ast.expr]) -> ast.expr:
    first, *rest = types
    for other in rest:
        first = ast.BinOp(first, ast.BitOr(), other)
    return first


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the imports of what the definitions name."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    defined |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    used = {node.id for node in names} - defined
    for module, offered in _ORIGINS.items():
        wanted = [name for name in offered if name in used]
        if wanted:
            yield f"from {module} import {', '.join(wanted)}"


def _definition(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        return _function(node)
    if isinstance(node, ast.ClassDef):
        return _class(node)
    return ast.unparse(node) if isinstance(node, ast.Assign) else ""


def _class(node: ast.ClassDef) -> str:
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    members = [*_docstring(node)]
    members += [ast.unparse(item) for item in node.body if isinstance(item, ast.AnnAssign)]
    members += [_function(item) for item in node.body if isinstance(item, ast.FunctionDef)]
    body = "\n" + textwrap.indent("\n".join(members), "    ") if members else " ..."
    return "\n".join((*_decorators(node), f"class {node.name}{bases}:{body}"))


def _function(node: ast.FunctionDef) -> str:
    returns = ast.unparse(node.returns) if node.returns else "None"
    head = f"def {node.name}({ast.unparse(node.args)}) -> {returns}:"
    doc = _docstring(node)
    body = f"\n{textwrap.indent(doc[0], '    ')}" if doc else " ..."
    return "\n".join((*_decorators(node), head + body))


def _decorators(node: ast.ClassDef | ast.FunctionDef) -> list[str]:
    return [f"@{ast.unparse(decorator)}" for decorator in node.decorator_list]


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> list[str]:
    """Return the docstring as source, if there is one."""
    text = _RAISES.sub(r"Raises Err with a \1.", ast.get_docstring(node) or "").strip()
    if not text:
        return []
    end = "\n" if "\n" in text else ""
    return [f'"""{text}{end}"""']
