"""Lets tests in several plugins' folders run together, though each has a `driver` of its own."""

import sys
from pathlib import Path

import pytest

from harvester.plugins import source as plugin_source

_PLUGINS = Path(__file__).parent


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Before a plugin's test is imported, let modules be found as the plugin's build finds them."""
    if isinstance(collector, pytest.Module):
        folder = _PLUGINS / collector.path.relative_to(_PLUGINS).parts[0]
        sys.path[:0] = map(str, plugin_source.read(folder).python_paths)
        for name in [name for name, module in sys.modules.items() if _is_anothers(module, folder)]:
            del sys.modules[name]


def _is_anothers(module: object, folder: Path) -> bool:
    file = Path(getattr(module, "__file__", None) or "/")
    return _PLUGINS in file.parents[1:] and folder not in file.parents
