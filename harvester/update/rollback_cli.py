"""`harvester rollback`: changes this machine back to the version before the last update."""

import argparse

from bus.errors import MisconfiguredError
from harvester.update import prepare
from harvester.update.cli import begin, open_idle
from harvester.update.runner import Runner


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Change back to the version before the last update, which is judged like an update. It is "
        "refused where that version cannot read a database that the last one changed."
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.set_defaults(run=_roll_back)


def _roll_back(options: argparse.Namespace) -> None:
    system, runner = open_idle(dry_run=options.dry_run)
    name = _previous(runner)
    if options.dry_run:
        version = prepare.version_of(system, runner.environments.folder(name))
        print(f"would switch from {runner.environments.in_use} to {name} ({version}) and judge it")
        return
    begin(system, runner, name)


def _previous(runner: Runner) -> str:
    """Return the environment before the last update. Raises MisconfiguredError."""
    name = runner.load().previous
    if not name or not (runner.environments.folder(name) / "bin/python").exists():
        raise MisconfiguredError(
            "found no version before this one; `harvester update WHEEL` installs an older one, too"
        )
    return name
