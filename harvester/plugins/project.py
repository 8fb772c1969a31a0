"""A project as the commands find it: its contract, its plugins, its compiled components."""

from collections.abc import Sequence
from pathlib import Path

from bus.errors import MisconfiguredError
from harvester.plugins import source as plugin_source
from harvester.plugins.source import PluginSource

# Below the project; `harvester up` keeps its compiled components there, too.
CACHE = Path(".harvester") / "cache"


def contract_file(project: Path) -> Path:
    """Return `wit/plugin.wit`. Raises MisconfiguredError where `project` is none."""
    wit = project / "wit" / "plugin.wit"
    if not wit.is_file():
        raise MisconfiguredError(f"{wit}: not found; expected to run in a project, or --project")
    return wit


def chosen(project: Path, names: Sequence[str]) -> list[PluginSource]:
    """Return the plugins called `names`, or all. Raises MisconfiguredError for an unknown one."""
    sources = plugin_source.discover(project / "plugins")
    known = {source.name: source for source in sources}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MisconfiguredError(
            f"plugins: found {', '.join(unknown)}, expected some of {', '.join(known)}"
        )
    return [known[name] for name in names] if names else sources


def from_here(text: object) -> str:
    """Return a path, or a text with paths in it, as people type what is below this folder."""
    return str(text).replace(f"{Path.cwd()}/", "")
