"""File of the last round of updates: commands write it, the running hub follows it."""

from collections.abc import Callable
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.files import private_json
from hub_app.nodes.update.round import Round

FILE_NAME = "node-updates.json"


def load(path: Path) -> Round:
    """Return the round in the file; an empty one where it is missing. Raises MisconfiguredError."""
    return private_json.load(path, Round, Round(), what="round of updates", remedy="remove it")


def change(path: Path, function: Callable[[Round], Round]) -> Round:
    """Replace the round, locked against other programs; return the new one."""
    return private_json.change(path, load, function)


def start(path: Path, made: Round) -> Round:
    """Begin a round. Raises MisconfiguredError where one is under way, or it has no nodes."""
    if not made.nodes:
        raise MisconfiguredError("found no node to update; expected one that the hub knows")

    def started(found: Round) -> Round:
        if found.asked and not found.stopped:
            raise MisconfiguredError(f"found a round under way: {found.asked} is being updated")
        return made

    return change(path, started)
