"""`harvester`: what spans nodes. Build the plugins, start the whole system, examine a machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bus.config import command_line, config_file
from bus.config.command_line import EXIT_MISCONFIGURED
from bus.errors import HarvesterError, MisconfiguredError
from harvester.doctor import report as doctor
from harvester.doctor.machine import this_machine
from harvester.errors import EXIT_FAILED
from harvester.hub import access_cli, broker_cli
from harvester.plugins import cli as plugins_cli
from harvester.plugins.project import from_here
from harvester.up import STATE, Options, up


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MisconfiguredError as e:
        print(from_here(e), file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except HarvesterError as e:
        print(from_here(e), file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="harvester", description="What spans HARVESTER's nodes.")
    parser.add_argument(
        "--project",
        type=Path,
        default=Path.cwd(),
        metavar="DIR",
        help="folder with wit/, plugins/ and config/; default: this one",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    plugins_cli.add(commands)
    _add_doctor(commands)
    access_cli.add(commands)
    broker_cli.add(commands)
    return parser


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    added = commands.add_parser(
        "up", help="start hub, two agents and the Pi Zero service here, on simulated hardware"
    )
    added.add_argument("--web-port", type=int, default=3000, help="the page; default: 3000")
    added.add_argument("--mqtt-port", type=int, default=1883, help="the broker; default: 1883")
    added.add_argument(
        "--zero-port", type=int, default=8080, help="the Pi Zero's /health; default: 8080"
    )
    added.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="what happens to the simulated chips, for example config/scenarios/heat-wave.toml",
    )
    added.add_argument(
        "--broker-url",
        default="",
        metavar="URL",
        help="use this broker, with the files of `harvester broker acl`, and not the hub's own",
    )
    added.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="where history, logins and plugin state are kept; default: .harvester in the project",
    )
    added.set_defaults(run=_up)


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "find what this node lacks of what its configuration asks for, and what mends it"
    added = commands.add_parser(
        "doctor",
        help=about,
        description=about,
        parents=[command_line.parser("harvester doctor", "")],
        conflict_handler="resolve",
    )
    added.add_argument("--role", choices=("hub", "spoke", "pizero"), required=True)
    added.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    if options.role != "pizero":
        options.overrides.append(f"cluster.role={options.role}")
    # What its parts log is in its lines already, but who asks for more gets it.
    options.overrides.insert(0, "logging.level=error")
    options.config = options.config or config_file.find(options.role, options.project)
    config = command_line.load(options, options.role)
    text, well = doctor.report(config, options.role, this_machine(os.environ))
    print(text)
    sys.exit(0 if well else EXIT_FAILED)


def _up(options: argparse.Namespace) -> None:
    plugins_cli.build(options.project, [], force=False)
    sys.exit(
        up(
            Options(
                project=options.project.resolve(),
                state=(options.state or options.project / STATE).resolve(),
                web_port=options.web_port,
                mqtt_port=options.mqtt_port,
                zero_port=options.zero_port,
                scenario=options.scenario.resolve() if options.scenario else None,
                broker_url=options.broker_url,
            )
        )
    )


if __name__ == "__main__":
    main()
