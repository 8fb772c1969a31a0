"""`harvester restore`: makes a hub of a backup, on this machine or on a new one."""

import argparse
import datetime as dt
import os
from pathlib import Path

from bus.config import config_file
from harvester.backup import restore
from harvester.backup.restore import Restored, Target
from harvester.hub.options import define_hub_command, hub_config


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    about = (
        "Replace the hub's state and configuration by those of a backup. The hub must not run. "
        "What is there is put aside, never deleted."
    )
    define_hub_command(parser, about, _restore)
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="what `harvester backup` wrote; without it, finish a restore that was interrupted",
    )
    parser.add_argument(
        "--keep-config",
        action="store_true",
        help="keep the configuration that is here, for example on another kind of machine",
    )


def _restore(options: argparse.Namespace) -> None:
    if options.file is None:
        is_done = restore.finish(hub_config(options), os.environ)
        print("finished" if is_done else "no restore was interrupted; name a backup to restore")
        return
    file = options.config or config_file.find_installed("hub", options.project)
    if file is None:
        options.overrides.insert(0, "cluster.role=hub")
    target = Target(file, options.overrides, keeps_config=options.keep_config)
    _print(restore.restore(options.file, target, os.environ))


def _print(done: Restored) -> None:
    manifest = done.manifest
    made = dt.datetime.fromtimestamp(manifest.made_ms / 1000, dt.UTC)
    print(
        f"restored {len(manifest.parts) - len(done.homeless)} files of {manifest.node}, as of "
        f"{made:%Y-%m-%d %H:%M:%S} UTC"
    )
    for name in done.homeless:
        print(f"left out, as the configuration has no place for it: {name}")
    for path in done.asides:
        print(f"what was there is in {path}")
    print("Start the hub: sudo systemctl start harvester-hub harvester-agent@hub")
