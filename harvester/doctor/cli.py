"""`harvester doctor`: the options, and the exit code."""

import argparse
import os
import sys

from bus.config import command_line, config_file
from harvester.doctor.machine import this_machine
from harvester.doctor.report import report
from harvester.errors import EXIT_FAILED


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Check this machine against its node's configuration, and name a remedy for each fault."
    )
    command_line.add_options(parser)
    parser.add_argument("--role", choices=("hub", "spoke", "pizero"), required=True)
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    # The findings say it all; `--set logging.level=debug` shows more.
    options.overrides.insert(0, "logging.level=error")
    options.config = options.config or config_file.find_installed(options.role, options.project)
    config = command_line.load(options, options.role)
    text, is_well = report(config, options.role, this_machine(os.environ))
    print(text)
    sys.exit(0 if is_well else EXIT_FAILED)
