"""Product files: plugin contract, default configurations, scenarios, units and plugins.

A clone has them at its top. A wheel carries a copy in `bus/product`, which `setup.py` writes there.
"""

from pathlib import Path

_PACKAGED = Path(__file__).parents[1] / "product"


def is_packaged() -> bool:
    """Whether this is an installed wheel, whose plugins are already built, and no clone."""
    return _PACKAGED.is_dir()


def root() -> Path:
    """Return the folder that holds wit/, config/, deploy/, examples/ and plugins/."""
    return _PACKAGED if is_packaged() else Path(__file__).parents[2]


def component(directory: str, plugin: str) -> Path:
    """Return the path of the plugin's component.

    It is in `directory`, the node's own plugins, where that has a folder for the plugin or where
    the product has none.
    """
    own, shipped = Path(directory), root() / "plugins"
    found = shipped if not (own / plugin).is_dir() and (shipped / plugin).is_dir() else own
    return found / plugin / f"{plugin}.wasm"
