"""State directory of a running hub: locked, and with an interrupted restore finished."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from bus.config import hub_files
from bus.config.directories import Environment
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.errors import MisconfiguredError, UnavailableError
from bus.files import private_file, staged_moves, whole_file
from bus.files.database import lock

logger = logging.getLogger(__name__)


class RestoredError(UnavailableError):
    """The configuration in use was replaced at the start: start again with the new one."""


@contextlib.asynccontextmanager
async def own_state(config: Config, environment: Environment) -> AsyncIterator[None]:
    """Keep other hubs and a restore from the state; finish a restore that was interrupted."""
    files = hub_files.of(config, environment)
    with contextlib.ExitStack() as locks:
        if files.workers != files.hub:
            locks.enter_context(await asyncio.to_thread(_lock_of_workers, files))
        locks.enter_context(await asyncio.to_thread(lock, files.hub))
        done = staged_moves.finish(files.state_dir)
        if done:
            logger.warning("a restore of %s that was interrupted is finished", files.state_dir)
        if any(not Path(one.place).is_relative_to(files.state_dir) for one in done):
            raise RestoredError("the restore replaced the configuration; start the hub again")
        # Of a hub or a command that was killed.
        await asyncio.to_thread(_remove_abandoned, files)
        yield


def _remove_abandoned(files: HubFiles) -> None:
    for folder in {files.state_dir, files.login_dir}:
        whole_file.remove_abandoned(folder)


def _lock_of_workers(files: HubFiles) -> IO[bytes]:
    """Return the lock that keeps a restore, or a hub with all nodes, from the state of all workers.

    Raises MisconfiguredError where a restore has to be finished first.
    """
    # Where it cannot be made, `lock` says so.
    with contextlib.suppress(OSError):
        private_file.make_directory(files.login_dir)
    made = lock(files.workers, is_shared=True)
    if staged_moves.pending(files.login_dir):
        made.close()
        raise MisconfiguredError(
            f"{files.login_dir}: found a restore that was interrupted; `harvester restore` without "
            "a file finishes it"
        )
    return made
