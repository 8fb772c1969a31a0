"""`harvester uninstall`: undoes the steps of `harvester install`."""

import argparse

from harvester.install import found, tables
from harvester.install.cli import require_root
from harvester.install.step import uninstall
from harvester.install.system import System


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Remove services, units, environment and compiled plugins. Configuration, logins, history "
        "and the services' user are kept."
    )
    parser.add_argument(
        "--purge", action="store_true", help="remove those, too: nothing brings them back"
    )
    parser.add_argument("--dry-run", action="store_true", help="print every step; change nothing")
    parser.set_defaults(run=_uninstall)


def _uninstall(options: argparse.Namespace) -> None:
    require_root(dry_run=options.dry_run)
    steps = tables.everything(System(), found.look())
    for outcome in uninstall(steps, purge=options.purge, dry_run=options.dry_run):
        print(outcome, flush=True)
