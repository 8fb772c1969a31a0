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


def plugin_folder(directory: str, plugin: str) -> Path:
    """Return the folder of a plugin.

    It is in `directory`, the node's own plugins, where that has the plugin or where the product has
    none.
    """
    own, shipped = Path(directory), root() / "plugins"
    found = shipped if not (own / plugin).is_dir() and (shipped / plugin).is_dir() else own
    return found / plugin


def bundle_runtime() -> Path:
    """Return the path of the component that runs bundles; a clone has it once it is built."""
    return root() / "plugins" / "bundle-runtime.wasm"
