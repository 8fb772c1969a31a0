from pathlib import Path

import pytest

from harvester.plugins.builder.imports import lazy_imports
from harvester.plugins.manifest import Manifest
from harvester.plugins.source import PluginSource


def plugin(directory: Path, **modules: str) -> PluginSource:
    """Return a plugin of these modules, named by their paths."""
    for name, text in modules.items():
        file = directory / "own" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return PluginSource(directory / "own", Manifest("sensor-plugin"))


def found(directory: Path, **modules: str) -> list[tuple[str, bool]]:
    lazy, _ = lazy_imports.find(plugin(directory, **modules))
    return [(one.module, one.may_fail) for one in lazy]


@pytest.mark.parametrize(
    ("body", "imported"),
    [
        ("import decimal", [("decimal", False)]),
        ("import os.path, json", [("os.path", False), ("json", False)]),
        ("from statistics import mean", [("statistics", False)]),
        ("x = __import__('fractions')", [("fractions", False)]),
        ("importlib.import_module('bisect')", [("bisect", False)]),
        ("importlib.import_module(name)", []),
        ("return datetime.strptime(text, '%Y')", [("_strptime", True)]),
        ("return Counter(x).most_common()", [("heapq", True)]),
        ("from wit_world.imports import i2c", []),
        ("try:\n        import ssl\n    except ImportError:\n        pass", [("ssl", True)]),
        (
            "try:\n        import ssl\n    except (OSError, Exception):\n        pass",
            [("ssl", True)],
        ),
        ("try:\n        import ssl\n    except OSError:\n        pass", [("ssl", False)]),
        ("with suppress(ImportError):\n        import ssl", [("ssl", True)]),
    ],
)
def test_imports_inside_a_function_are_found(
    tmp_path: Path, body: str, imported: list[tuple[str, bool]]
) -> None:
    assert found(tmp_path, app=f"def f():\n    {body}\n") == imported


def test_an_import_at_the_top_of_a_module_is_not_lazy(tmp_path: Path) -> None:
    assert found(tmp_path, app="import decimal\nclass A:\n    import json\n") == []


def test_modules_that_app_reaches_are_read_and_no_others(tmp_path: Path) -> None:
    lazy = "def f():\n    import {}\n"
    modules = {
        "app": "from package.inner import x\n",
        "package/__init__": lazy.format("json"),
        "package/inner": "from . import sibling\n" + lazy.format("csv"),
        "package/sibling": "def f():\n    from .other import y\n",
        "package/other": lazy.format("calendar"),
        "stranger": lazy.format("ssl"),
    }
    assert {module for module, _ in found(tmp_path, **modules)} == {
        *("json", "csv", "calendar", "package.other")
    }


def test_the_place_of_an_import_is_kept(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "units.py").write_text("\n\ndef f():\n    import decimal\n")
    source = plugin(tmp_path, app="import units\n")
    source = PluginSource(source.directory, Manifest("sensor-plugin", ["../shared"]))
    ((one,), _) = lazy_imports.find(source)
    assert (one.place, one.file, one.line) == (1, "units.py", 4)


def test_codecs_that_strings_name_are_found(tmp_path: Path) -> None:
    text = "def f(x):\n    return x.decode('cp1252') + 'latin-1' + 'no codec' + 'Mac-Roman'\n"
    assert lazy_imports.find(plugin(tmp_path, app=text))[1] == ["Mac-Roman", "cp1252", "latin-1"]


@pytest.mark.parametrize("many", ["1" + " + 1" * 900, "a" + ".b(1)" * 900])
def test_an_expression_of_many_terms_is_read(tmp_path: Path, many: str) -> None:
    assert found(tmp_path, app=f"X = {many}\ndef f():\n    import ssl\n") == [("ssl", False)]
