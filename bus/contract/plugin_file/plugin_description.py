"""Description of a plugin by its author, in its file: a component or a bundle."""

from pathlib import Path

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle, component_section


def read(path: Path) -> PluginDescription:
    """Return what the author says of the plugin, an empty description where that is nothing.

    Raises OSError where the file cannot be read, BadDataError where it is damaged.
    """
    if path.suffix == bundle.SUFFIX:
        return bundle.read(path)[2].description
    return component_section.read(path) or PluginDescription()
