"""Modules that every component contains beside the plugin's own, as text."""

from collections.abc import Sequence
from importlib import resources

from harvester.plugins.builder import guest

_MODULES = (
    "harvester_guest",
    "harvester_checks",
    "harvester_names",
    "harvester_places",
    "harvester_waits",
)
_OF_RUNTIME = (*_MODULES, "harvester_bundle", "harvester_state", "harvester_stdlib")


def texts() -> dict[str, str]:
    """Return each module's source by its name in the component."""
    return _texts(_MODULES)


def runtime_texts() -> dict[str, str]:
    """Return the same of the runtime component, which runs bundles."""
    return _texts(_OF_RUNTIME)


def _texts(modules: Sequence[str]) -> dict[str, str]:
    folder = resources.files(guest)
    return {name: folder.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in modules}
