"""Modules that every component contains beside the plugin's own, as text."""

from importlib import resources

from harvester.plugins.builder import guest

_MODULES = ("harvester_guest", "harvester_checks", "harvester_names")


def texts() -> dict[str, str]:
    """Return each module's source by its name in the component."""
    folder = resources.files(guest)
    return {name: folder.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in _MODULES}
