"""Configuration that an earlier node left on this machine, put aside by a join under another id."""

from pathlib import Path

from bus.config import config_file
from bus.errors import MisconfiguredError

_SUFFIX = ".before-join"


def move_aside(directory: Path, role: str, node: str) -> Path | None:
    """Put a configuration aside that is not of `node`, and return where it is then.

    One that is of `node` stays: whoever edited it keeps what they wrote.
    """
    path = directory / f"{role}.toml"
    if not path.exists() or _node_in(path) == node:
        return None
    aside = path.with_name(path.name + _SUFFIX)
    return path.replace(aside)


def _node_in(path: Path) -> str:
    """Return the node's id, empty where the file has none that can be read."""
    try:
        return config_file.load(path).cluster.node_id
    except MisconfiguredError:
        return ""
