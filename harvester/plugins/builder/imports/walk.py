"""Walk over what runs of a syntax tree: it knows which nodes run later, and where imports may fail.

It is no visitor of `ast`: that calls itself at each depth, and a sum of 500 terms is as deep.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeGuard

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_FOR_TYPES = "TYPE_CHECKING"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Visited(NamedTuple):
    """A node: whether it is in a function, and whether its failed import would be caught."""

    node: ast.AST
    is_in_function: bool = False
    may_fail: bool = False


def walk(tree: ast.AST) -> Iterator[Visited]:
    """Yield the nodes of a tree in the order of the source."""
    waiting = [Visited(tree)]
    while waiting:
        visited = waiting.pop()
        yield visited
        waiting += reversed(list(_below(visited)))


def _below(visited: Visited) -> Iterator[Visited]:
    node, is_in_function, may_fail = visited
    is_in_function = is_in_function or isinstance(node, _FUNCTIONS)
    guarded = _guarded(node)
    children = node.orelse if _is_for_types(node) else ast.iter_child_nodes(node)
    for child in children:
        yield Visited(child, is_in_function, may_fail or child in guarded)


def _is_for_types(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether the body of a statement is for type checkers alone, and never runs."""
    test = node.test if isinstance(node, ast.If) else None
    return _FOR_TYPES in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _guarded(node: ast.AST) -> set[ast.stmt]:
    """Return the statements right below in which a failed import is caught."""
    if isinstance(node, ast.Try | ast.TryStar):
        catches = any(_catches_import_errors(handler.type) for handler in node.handlers)
        return set(node.body) if catches else set()
    if isinstance(node, ast.With):
        suppresses = any("suppress" in ast.unparse(item.context_expr) for item in node.items)
        return set(node.body) if suppresses else set()
    return set()


def _catches_import_errors(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds: Iterable[ast.expr] = kind.elts if isinstance(kind, ast.Tuple) else (kind,)
    return any(ast.unparse(one).rpartition(".")[2] in _IMPORT_ERRORS for one in kinds)
