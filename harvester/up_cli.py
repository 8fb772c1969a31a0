"""`harvester up`: the options; packs what changed, then starts the system."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bus.config import config_file
from bus.install import assets
from harvester import scenario_option, up_plugins
from harvester.plugins.builder import runtime
from harvester.plugins.builder.pack import pack_all
from harvester.plugins.project import config_file as project_config
from harvester.plugins.project import contract_file, runnable
from harvester.plugins.source import PluginSource
from harvester.up import STATE, Options, up


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--web-port", type=int, default=3000, help="the page; default: 3000")
    parser.add_argument("--mqtt-port", type=int, default=1883, help="the broker; default: 1883")
    parser.add_argument(
        "--zero-port", type=int, default=8080, help="the Pi Zero's /health; default: 8080"
    )
    scenario_option.add(
        parser,
        of=", for example chips.light.illuminance_lx=5",
        more="; a file that comes with the program is known by its name, for example heat-wave",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FOLDER|NAME",
        help="also run this plugin on the Pi 4, with its simulated chip, and grant what it uses; "
        "may be given more than once",
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
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the hub's configuration, for example homeassistant.discovery=true; may be "
        "given more than once",
    )
    parser.set_defaults(run=_up)


def scenario_file(named: Path) -> Path:
    """Return the file, or the scenario of that name that comes with the program."""
    shipped = assets.root() / "config" / "scenarios" / f"{named.stem}.toml"
    return shipped if shipped.is_file() and not named.is_file() else named.resolve()


def _up(options: argparse.Namespace) -> None:
    project = options.project.resolve()
    state = (options.state or options.project / STATE).resolve()
    added = up_plugins.named(project, options.plugin)
    only = added[0].name if len(added) == 1 else ""
    played = scenario_option.parse(options.scenario, only, scenario_file)
    sources = {source.directory.resolve(): source for source in (*runnable(project), *added)}
    runtime.ensure()
    pack_all(list(sources.values()), contract_file(project))
    spoke, plugins = _added(project, state, added)
    sys.exit(
        up(
            Options(
                project=project,
                state=state,
                web_port=options.web_port,
                mqtt_port=options.mqtt_port,
                zero_port=options.zero_port,
                scenario=played.overrides(),
                spoke=spoke,
                plugins=plugins,
                broker_url=options.broker_url,
                hub=options.set,
            )
        )
    )


def _added(
    project: Path, state: Path, added: Sequence[PluginSource]
) -> tuple[list[str], Path | None]:
    """Return the Pi 4's keys and the folder of its plugins, None where nothing was added."""
    if not added:
        return [], None
    config = config_file.load(project_config(project, "spoke"))
    own = project / "plugins"
    has_own_folder = not project_config(project, "spoke").is_relative_to(project) and own.is_dir()
    directory = own if has_own_folder else Path(config.plugins.directory)
    keys = up_plugins.overrides(config, added)
    for key in keys:
        print(f"pi4: {key}", flush=True)
    return keys, up_plugins.folder(directory, added, state)
