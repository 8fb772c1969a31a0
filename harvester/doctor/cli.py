"""`harvester doctor`: the options, and the exit code."""

import argparse
import os
import sys
from pathlib import Path

from bus.config import command_line, config_file
from harvester.doctor import as_service
from harvester.doctor.machine import this_machine
from harvester.doctor.report import report
from harvester.errors import EXIT_FAILED
from harvester.install.environment import LINK


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Check this machine against its node's configuration, and name a remedy for each fault."
    )
    command_line.add_options(parser)
    parser.add_argument("--role", choices=("hub", "spoke", "pizero"), required=True)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    if options.config is None:
        options.config = config_file.find_installed(options.role, options.project)
        if as_service.is_wanted(options.config):
            _restart_as_service(options)
    # The findings say it all; `--set logging.level=debug` shows more.
    options.overrides.insert(0, "logging.level=error")
    config = command_line.load(options, options.role)
    text, is_well = report(config, options.role, this_machine(os.environ))
    print(text)
    sys.exit(0 if is_well else EXIT_FAILED)


def _restart_as_service(options: argparse.Namespace) -> None:
    """Replace this process with the doctor of the service's user; return where that is root."""
    user = as_service.user_of(options.role)
    if user == "root":
        return
    more = [word for text in options.overrides for word in ("--set", text)]
    more += ["--simulate"] if options.simulate else []
    program = Path(LINK) / "bin/harvester"
    words = as_service.command(program, options.role, options.config, user, more)
    os.execvp(words[0], words)  # noqa: S606 - no shell
