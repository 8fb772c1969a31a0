"""Private JSON files that several programs change: read whole, replaced under a lock, mode 0600."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from bus.errors import MisconfiguredError
from bus.files import private_file

T = TypeVar("T")
E = TypeVar("E")


def load(path: Path, of: type[T], missing: E, *, what: str, remedy: str) -> T | E:
    """Return the value in the file, `missing` where there is none.

    Raises MisconfiguredError, which names `what` was expected and the `remedy`, where the file is
    open to others, cannot be read or holds something else.
    """
    try:
        return msgspec.json.decode(private_file.read(path), type=of)
    except FileNotFoundError:
        return missing
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no {what}: {e}; {remedy}") from e


def change(path: Path, load: Callable[[Path], T], function: Callable[[T], T]) -> T:
    """Replace the value that `load` reads, locked against other programs; return the new one."""
    with private_file.locked(path):
        found = load(path)
        changed = function(found)
        if changed != found:
            private_file.write(path, msgspec.json.format(msgspec.json.encode(changed)))
    return changed
