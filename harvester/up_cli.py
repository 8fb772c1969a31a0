"""`harvester up`: the options; builds what changed, then starts the system."""

import argparse
import sys
from pathlib import Path

from bus.install import assets
from harvester.plugins.builder.progress import build_sources
from harvester.plugins.project import contract_file, runnable
from harvester.up import STATE, Options, up


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--web-port", type=int, default=3000, help="the page; default: 3000")
    parser.add_argument("--mqtt-port", type=int, default=1883, help="the broker; default: 1883")
    parser.add_argument(
        "--zero-port", type=int, default=8080, help="the Pi Zero's /health; default: 8080"
    )
    parser.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="script for the simulated chips: a file, or the name of one that comes with the "
        "program, for example heat-wave",
    )
    parser.add_argument(
        "--broker-url",
        default="",
        metavar="URL",
        help="use this broker, with the files of `harvester broker acl`, instead of the hub's own",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="folder for history, logins and plugin state; default: .harvester in the project",
    )
    parser.set_defaults(run=_up)


def scenario_file(named: Path) -> Path:
    """Return the file, or the scenario of that name that comes with the program."""
    shipped = assets.root() / "config" / "scenarios" / f"{named.stem}.toml"
    return shipped if shipped.is_file() and not named.is_file() else named.resolve()


def _up(options: argparse.Namespace) -> None:
    build_sources(runnable(options.project), contract_file(options.project))
    sys.exit(
        up(
            Options(
                project=options.project.resolve(),
                state=(options.state or options.project / STATE).resolve(),
                web_port=options.web_port,
                mqtt_port=options.mqtt_port,
                zero_port=options.zero_port,
                scenario=scenario_file(options.scenario) if options.scenario else None,
                broker_url=options.broker_url,
            )
        )
    )
