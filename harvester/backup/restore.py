"""Restore of a backup: checks it whole, then replaces what is there, or changes nothing."""

import contextlib
import datetime as dt
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bus.clock import now_ms
from bus.config import config_file, hub_files
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import staged_moves
from bus.files.database import lock
from bus.files.private_file import make_directory
from harvester.backup import places
from harvester.backup.archive_file import ArchiveFile
from harvester.backup.errors import BackupFailedError
from harvester.backup.manifest import HISTORY, Manifest, name_at_hub
from harvester.backup.places import CONFIG, Places
from harvester.backup.restored_history import note_restore
from harvester.backup.staging import Staging

Environment = Mapping[str, str]
_MAX_CONFIG_BYTES = 1_000_000
_STOP = "stop it first: sudo systemctl stop harvester-hub harvester-agent@hub"


class Target(msgspec.Struct, frozen=True):
    """The hub to restore to. `file` is where its configuration is or will be; None: defaults.

    With `keeps_config`, the configuration in the backup is left out.
    """

    file: Path | None
    overrides: Sequence[str]
    keeps_config: bool = False


class Restored(msgspec.Struct, frozen=True):
    """Outcome of a restore: where the former files are, and parts that have no place here."""

    manifest: Manifest
    config: Config
    asides: list[Path]
    homeless: list[str]


def restore(path: Path, target: Target, environment: Environment) -> Restored:
    """Restore the backup at `path`. Nothing changes before all of it is checked.

    Raises BadArchiveError where it is none, or a damaged, truncated or newer one;
    MisconfiguredError where the hub runs; BackupFailedError where there is no room.
    """
    with ArchiveFile(path) as archive:
        archive.verify()
        config, takes_config = _config(archive, target)
        found = places.find(config, target.file if takes_config else None, environment)
        _check_room(archive, found)
        with stopped(config, environment):
            staged_moves.finish(found.state_dir)
            return _replace(archive, found, config, takes_config=takes_config)


def finish(config: Config, environment: Environment) -> bool:
    """Finish a restore that was interrupted; return whether there was one."""
    state_dir = hub_files.of(config, environment).state_dir
    with stopped(config, environment):
        return bool(staged_moves.finish(state_dir))


def _config(archive: ArchiveFile, target: Target) -> tuple[Config, bool]:
    """Return the configuration after the restore, and whether it is that of the backup."""
    part = next((part for part in archive.manifest.parts if part.name == CONFIG), None)
    if part is None or target.keeps_config:
        return config_file.load(target.file, target.overrides), False
    if target.file is None:
        raise MisconfiguredError(
            f"{archive.path}: found a configuration in it, expected --config FILE, where it is to "
            "go, or --keep-config"
        )
    data = archive.read(part, _MAX_CONFIG_BYTES)
    return config_file.load_bytes(data, target.file, target.overrides), True


def _check_room(archive: ArchiveFile, found: Places) -> None:
    folder = next(p for p in (found.state_dir, *found.state_dir.parents) if p.is_dir())
    free = shutil.disk_usage(folder).free
    if free < archive.total_bytes:
        raise BackupFailedError(
            f"{folder}: found {free / 1e6:.0f} MB free, expected {archive.total_bytes / 1e6:.0f} MB"
        )


def _replace(
    archive: ArchiveFile, found: Places, config: Config, *, takes_config: bool
) -> Restored:
    staging = Staging(archive, found, dt.datetime.now(dt.UTC))
    node, made_ms = config.cluster.node_id, archive.manifest.made_ms
    done = False
    try:
        staging.unpack(
            lambda path: note_restore(path, node, made_ms, now_ms()),
            lambda name: name_at_hub(name) == HISTORY,
        )
        asides = staging.replace()
        done = True
    finally:
        if not done and not staged_moves.pending(found.state_dir):
            staging.discard()
    homeless = [name for name in staging.homeless if takes_config or name != CONFIG]
    return Restored(archive.manifest, config, asides, homeless)


@contextlib.contextmanager
def stopped(config: Config, environment: Environment) -> Iterator[None]:
    """Keep the hub and its own agent from running. Raises MisconfiguredError where one runs."""
    files = hub_files.of(config, environment)
    with contextlib.ExitStack() as stack:
        for path in places.outbox_locks(config, environment):
            _claim(path, stack.callback)
        make_directory(files.state_dir)
        try:
            claim = stack.enter_context(lock(files.hub, wait_s=0.0))
        except MisconfiguredError as e:
            raise MisconfiguredError(f"{files.state_dir}: the hub runs; {_STOP}") from e
        if os.geteuid() == 0:
            status = files.state_dir.stat()
            os.chown(claim.fileno(), status.st_uid, status.st_gid)
        yield


def _claim(path: Path, at_end: Callable[..., object]) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # No agent ever ran there, or it is of somebody else.
        return
    at_end(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        raise MisconfiguredError(f"{path}: the hub's own agent runs; {_STOP}") from e
