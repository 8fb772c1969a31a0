"""`harvester node`: lists, removes and renames nodes."""

import argparse
import datetime as dt
import os
from pathlib import Path

from broker.auth import accounts, bundle_key
from bus.client import credentials
from bus.config import hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from harvester.hub import enroll_cli
from harvester.hub.options import define_hub_command, hub_config
from hub_app.history.query import known_names
from hub_app.nodes import workers
from hub_app.nodes.removal import removals


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = verbs.add_parser("list", help="list every node that the hub knows")
    define_hub_command(listing, "List every node that the hub knows.", _list)
    about = "remove a node, or one of its sensors"
    remove = verbs.add_parser("remove", help=about)
    define_hub_command(
        remove,
        "Remove a node: its login, its retained topics, and what the page and the metrics show. It "
        "stays removed until it is enrolled again. A running hub carries it out within a second, "
        "another one at its next start.",
        _remove,
    )
    remove.add_argument("node", help="the node's id, for example pi4")
    remove.add_argument("--sensor", help="remove this sensor of the node only")
    remove.add_argument("--history", action="store_true", help="delete what is stored, too")
    rename = verbs.add_parser("rename", help="give a node and its history another name")
    define_hub_command(
        rename,
        "Give a node and its history another name, and make a new login for it.",
        _rename,
    )
    rename.add_argument("node", help="the node's present id")
    rename.add_argument("new", help="its new id")
    enroll_cli.add_output_options(rename)


def _remove(options: argparse.Namespace) -> None:
    config, files = _files(options)
    paths = _removals_files(config, files)
    if options.sensor:
        removals.remove_sensor(paths, options.node, options.sensor, history=options.history)
        print(f"{options.node}:{options.sensor}: removed{_at_workers(paths, files)}")
        return
    removals.remove_node(
        paths,
        files.accounts,
        options.node,
        history=options.history,
        own_node=config.cluster.node_id,
    )
    kept = "history deleted" if options.history else "its history is kept"
    print(
        f"{options.node}: removed{_at_workers(paths, files)}, {kept}; `harvester enroll "
        f"{options.node}` lets it in again"
    )


def _rename(options: argparse.Namespace) -> None:
    config, files = _files(options)
    url = enroll_cli.url_for_nodes(options, config, files)
    output = options.output or Path(f"credentials-{options.new}.toml")
    token = removals.rename_node(
        _removals_files(config, files),
        files.accounts,
        options.node,
        options.new,
        own_node=config.cluster.node_id,
    )
    made = credentials.Credentials(
        username=options.new,
        token=token,
        url=url,
        ca_certificate=enroll_cli.ca_of(files),
        bundle_key=bundle_key.ensure(files.login_dir),
    )
    credentials.save(output, made)
    print(
        f"{output}: the login of {options.new}, until now {options.node}\n"
        f'On that node, set node_id = "{options.new}" in [cluster] of its configuration, then:\n'
        f"  sudo install -m 600 -o harvester {output.name} /etc/harvester/credentials.toml\n"
        "and restart its service. What waits in its outbox comes under the new name."
    )


def _list(options: argparse.Namespace) -> None:
    config, files = _files(options)
    rows: dict[str, str] = {}
    for folder in workers.state_dirs(config, files):
        for name in known_names.nodes(folder / known_names.FILE_NAME):
            rows.setdefault(name, "no login, only history")
        for name, removed in removals.load(folder / removals.FILE_NAME).nodes.items():
            rows[name] = f"removed {_day(removed.removed_ms)}"
    for name, machine in accounts.load(files.accounts).nodes.items():
        rows[name] = f"enrolled {_day(machine.since_ms)}"
    width = max(map(len, rows), default=0)
    for name, text in sorted(rows.items()):
        print(f"{name:<{width}}  {text}")
    if not rows:
        print("no nodes yet")


def _files(options: argparse.Namespace) -> tuple[Config, HubFiles]:
    config = hub_config(options)
    return config, hub_files.of(config, os.environ)


def _removals_files(config: Config, files: HubFiles) -> list[Path]:
    """Return the removals file of each worker on this machine: any may have stored the node."""
    return [folder / removals.FILE_NAME for folder in workers.state_dirs(config, files)]


def _at_workers(paths: list[Path], files: HubFiles) -> str:
    """Name the workers to which a removal was given, as there may be more on other machines."""
    names = ", ".join(path.parent.name for path in paths if path.parent != files.login_dir)
    return f" at {names} of this machine" if names else ""


def _day(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
