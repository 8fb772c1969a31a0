"""Project folder: its contract, its plugins and its compiled components.

What the folder lacks comes from the product's own files, so any folder will do.
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.install import assets
from harvester.plugins import manifest
from harvester.plugins.source import PluginSource, discover, folders, read

# Below the project; `harvester up` keeps its compiled components there, too.
CACHE = Path(".harvester") / "cache"


def contract_file(project: Path) -> Path:
    """Return the project's `wit/plugin.wit`, or the product's."""
    own = project / "wit" / "plugin.wit"
    return own if own.is_file() else assets.root() / "wit" / "plugin.wit"


def config_file(project: Path, role: str) -> Path:
    """Return the project's `config/ROLE.toml`, or the product's."""
    own = project / "config" / f"{role}.toml"
    return own if own.is_file() else assets.root() / "config" / f"{role}.toml"


def chosen(project: Path, names: Sequence[str]) -> list[PluginSource]:
    """Return the plugins called `names`; without names the project's own, or else the product's.

    Raises MisconfiguredError for an unknown name.
    """
    if not names:
        return discover(project / "plugins") or _shipped()
    own = {folder.name: folder for folder in folders(project / "plugins")}
    shipped = {folder.name: folder for folder in folders(_shipped_folder())}
    unknown = [name for name in names if name not in own and name not in shipped]
    if unknown:
        raise MisconfiguredError(_unknown(project, unknown, own or shipped))
    # A mistake in another plugin's manifest is no obstacle.
    return [read(own.get(name) or shipped[name]) for name in names]


def _unknown(project: Path, unknown: Sequence[str], known: Collection[str]) -> str:
    """Return the line about names that no plugin has."""
    folder = project / "plugins" / unknown[0]
    if folder.is_dir():
        return f"plugins: {from_here(folder)} has no {manifest.NAME}; expected one beside app.py"
    near = get_close_matches(unknown[0], known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"plugins: found {', '.join(unknown)}, expected some of {', '.join(known)}{hint}"


def runnable(project: Path) -> list[PluginSource]:
    """Return what nodes started in the project may run: its plugins, and the product's others."""
    found = {source.name: source for source in (*_shipped(), *discover(project / "plugins"))}
    return [found[name] for name in sorted(found)]


def _shipped() -> list[PluginSource]:
    return discover(_shipped_folder())


def _shipped_folder() -> Path:
    return assets.root() / "plugins"


def from_here(text: object) -> str:
    """Return a path, or a text with paths in it, relative to the current folder where it can be."""
    return str(text).replace(f"{Path.cwd()}/", "")
