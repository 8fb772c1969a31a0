"""Enrolled nodes of a hub, and the check of names that a person gives."""

from collections.abc import Iterable

from broker.auth import accounts
from bus.config.hub_files import HubFiles
from bus.errors import MisconfiguredError
from hub_app.nodes.removal import removals


def enrolled_nodes(files: HubFiles) -> list[str]:
    """Return the names of the enrolled nodes, in order, without those that were removed."""
    removed = removals.load(files.state_dir / removals.FILE_NAME).nodes
    return sorted(set(accounts.load(files.accounts).nodes) - removed.keys())


def check_enrolled(names: Iterable[str], known: list[str], files: HubFiles) -> None:
    """Check that names are among the known nodes. Raises MisconfiguredError."""
    for name in names:
        if name not in known:
            expected = ", ".join(known) or f"none yet in {files.accounts}"
            raise MisconfiguredError(f"found {name!r}, expected an enrolled node: {expected}")
