"""Import isolation for tests in plugin folders: each folder has its own `driver` module."""

import sys
from pathlib import Path

import pytest

from harvester.plugins import source as plugin_source

_PLUGINS = Path(__file__).parent


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Set sys.path for the test's plugin, as its build does, before the test is imported."""
    if isinstance(collector, pytest.Module):
        folder = _PLUGINS / collector.path.relative_to(_PLUGINS).parts[0]
        sys.path[:0] = map(str, plugin_source.read(folder).python_paths)
        for name in [
            name for name, module in sys.modules.items() if _is_of_another_plugin(module, folder)
        ]:
            del sys.modules[name]


def _is_of_another_plugin(module: object, folder: Path) -> bool:
    file = Path(getattr(module, "__file__", None) or "/")
    return _PLUGINS in file.parents[1:] and folder not in file.parents
