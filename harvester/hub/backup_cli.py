"""`harvester backup`: writes state and configuration of the hub into one file while it runs."""

import argparse
import datetime as dt
import os
import sys
from pathlib import Path

from bus.config import hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.errors import HarvesterError, MisconfiguredError
from bus.files import staged_moves
from harvester.backup import archive, contents, nightly, places
from harvester.backup.manifest import Manifest
from harvester.hub.options import define_hub_command, hub_config


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    about = (
        "Write databases, accounts, certificates, keys, secrets, plugin state and configuration "
        "of the hub into one file, mode 0600, while the hub runs."
    )
    define_hub_command(parser, about, _backup)
    to = parser.add_mutually_exclusive_group(required=True)
    to.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the file to write")
    to.add_argument(
        "--nightly",
        action="store_true",
        help="write a new file into the folder of [backup], and remove the oldest ones there",
    )


def _backup(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    if not files.state_dir.is_dir():
        raise MisconfiguredError(f"{files.state_dir}: found no state of a hub; is it started?")
    if staged_moves.pending(files.state_dir):
        raise MisconfiguredError(
            f"{files.state_dir}: a restore was interrupted: finish it with `harvester restore`"
        )
    if options.nightly:
        _backup_nightly(config, files, options.config)
    else:
        _check_target(options.file)
        _write(options.file, config, files, options.config, is_nightly=False)


def _check_target(file: Path) -> None:
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise MisconfiguredError(f"{file}: expected the name of a file in a folder that exists")


def _backup_nightly(config: Config, files: HubFiles, config_path: Path | None) -> None:
    nightly.note_attempt(files.state_dir)
    node = config.cluster.node_id
    try:
        folder = hub_files.backup_directory(config, files)
        file = nightly.new_file(folder, node, dt.datetime.now(dt.UTC))
        _write(file, config, files, config_path, is_nightly=True)
        for removed in nightly.prune(file, node, config.backup.keep):
            print(f"removed {removed}")
    except HarvesterError as e:
        nightly.note_failure(files.state_dir, e)
        raise


def _write(
    file: Path, config: Config, files: HubFiles, config_path: Path | None, *, is_nightly: bool
) -> None:
    found = contents.collect(places.find(config, config_path, os.environ))
    for path in found.skipped:
        print(f"left out, as it is no plain file: {path}", file=sys.stderr)
    manifest = archive.write(file, config.cluster.node_id, found)
    size_bytes = file.stat().st_size
    nightly.note_success(files.state_dir, file, size_bytes, is_nightly=is_nightly)
    print(_summary(file, size_bytes, manifest))


def _summary(file: Path, size_bytes: int, manifest: Manifest) -> str:
    total = sum(part.bytes for part in manifest.parts)
    return (
        f"{file}: {size_bytes / 1e6:.1f} MB, {len(manifest.parts)} files of {total / 1e6:.1f} MB. "
        "It holds keys and passwords: keep it where nobody else can read it."
    )
