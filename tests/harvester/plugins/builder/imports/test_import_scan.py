"""Import statements in text that this Python may not be able to parse."""

import ast
from pathlib import Path

import pytest

from harvester.plugins.builder import least_world
from harvester.plugins.builder.imports.import_scan import Import, imports
from tests.support import PROJECT

SOURCES = [
    file
    for folder in ("plugins", "examples", "tests/components")
    for file in (PROJECT / folder).rglob("*.py")
]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a.b as c, d", [Import("a.b"), Import("d")]),
        ("from a import (\n    b,  # why\n    c as d,\n)\n", [Import("a", ("b", "c"))]),
        ("from a import b, \\\n    c", [Import("a", ("b", "c"))]),
        ("try: import a\nexcept ImportError: import b; from c import *", None),
        ("def f():\n    from . import a\n", [Import(".", ("a",))]),
        ('"""\nimport a\nfrom b import c\n"""\n', []),
        ("x = 'import a'  # import b\n", []),
        ("# it's\nimport a\n", [Import("a")]),
        ("if TYPE_CHECKING:\n    import a\n\n    import b\nelse:\n    import c\n", [Import("c")]),
        ("if typing.TYPE_CHECKING: import a\nimport b\n", [Import("b")]),
        ("def f():\n    if (TYPE_CHECKING):\n        import a\n    import b\n", [Import("b")]),
        ("if a:\n    import b\nelif TYPE_CHECKING:\n    import c\n", [Import("b")]),
        ("if not TYPE_CHECKING:\n    import a\n", [Import("a")]),
        ("important = 1\nfrom_a = 2\n", []),
        ('type X[T = int] = list[T]\nt"{a}"\nimport b\n', [Import("b")]),
    ],
)
def test_statements_are_found_and_texts_are_not(source: str, found: list[Import] | None) -> None:
    expected = [Import("c", ("*",)), Import("a"), Import("b")] if found is None else found
    assert list(imports(source)) == expected


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_every_source_of_the_product_imports_what_its_syntax_tree_says(file: Path) -> None:
    statements = [
        *(node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import)),
    ]
    plain = {alias.name for node in statements for alias in node.names}
    assert {found.module for found in imports(file.read_text()) if not found.names} == plain
    assert least_world.interfaces_in([file.read_text()]) == least_world.used_interfaces([file])
