"""File of the last round of updates: commands write it, the running hub follows it."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.files import private_file
from hub_app.nodes.update.round import Round

FILE_NAME = "node-updates.json"


def load(path: Path) -> Round:
    """Return the round in the file; an empty one where it is missing. Raises MisconfiguredError."""
    try:
        return msgspec.json.decode(private_file.read(path), type=Round)
    except FileNotFoundError:
        return Round()
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no round of updates: {e}; remove it") from e


def change(path: Path, function: Callable[[Round], Round]) -> Round:
    """Replace the round, locked against other programs; return the new one."""
    with private_file.locked(path):
        found = load(path)
        changed = function(found)
        if changed != found:
            private_file.write(path, msgspec.json.format(msgspec.json.encode(changed)))
    return changed


def start(path: Path, made: Round) -> Round:
    """Begin a round. Raises MisconfiguredError where one is under way, or it has no nodes."""
    if not made.nodes:
        raise MisconfiguredError("found no node to update; expected one that the hub knows")

    def started(found: Round) -> Round:
        if found.asked and not found.stopped:
            raise MisconfiguredError(f"found a round under way: {found.asked} is being updated")
        return made

    return change(path, started)
