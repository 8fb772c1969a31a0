"""Workers of a hub on this machine: they divide its nodes, and each has a state of its own."""

import re
from pathlib import Path

from bus.config.hub_files import WORKER_PREFIX, HubFiles
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from hub_app.history.query import known_names

_FOLDER = re.compile(rf"{WORKER_PREFIX}([1-9][0-9]*)")


def state_dirs(config: Config, files: HubFiles) -> list[Path]:
    """Return the state directory of every worker on this machine; else that of the hub.

    Where the configuration names a worker, it is the only one.
    """
    if config.broker.worker is not None or not config.broker.url:
        return [files.state_dir]
    found = _workers(files)
    # One with all nodes may have run before.
    has_all = (files.state_dir / known_names.FILE_NAME).exists()
    return [*([files.state_dir] if has_all or not found else []), *found]


def check_named(config: Config, files: HubFiles) -> None:
    """Raise MisconfiguredError where there are workers and the configuration names none."""
    found = _workers(files)
    if found and config.broker.worker is None and config.broker.url:
        names = ", ".join(path.name for path in found)
        raise MisconfiguredError(
            f"{files.login_dir}: found workers, {names}; expected the name of one of them, for "
            f"example --set broker.share=1/{len(found)}"
        )


def _workers(files: HubFiles) -> list[Path]:
    """Return the state directories of workers in their order."""
    found = files.login_dir.iterdir() if files.login_dir.is_dir() else ()
    numbers = {path: match for path in found if (match := _FOLDER.fullmatch(path.name))}
    return sorted(numbers, key=lambda path: int(numbers[path][1]))
