"""`harvester plugins deploy`, `rollback` and `key`: their options. They need the extra `hub`."""

import argparse
from types import ModuleType

from bus.contract.plugin_file.order import DEFAULT_PROBATION, MAX_PROBATION
from bus.install import extras
from harvester.hub.options import define_hub_command


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    deploy = verbs.add_parser("deploy", help="send a plugin to nodes over the bus, signed")
    define_hub_command(
        deploy,
        "Pack a plugin, or take its bundle or component, sign it and send it to nodes. Each tries "
        "it, keeps it after a number of good polls, or goes back by itself. A node that is away "
        "gets it when it comes. The hub must be running.",
        lambda options: _commands("deploy").deploy(options),
    )
    deploy.add_argument(
        "plugin",
        metavar="NAME|NAME.bundle|NAME.wasm",
        help="a plugin, or a bundle or component of it",
    )
    deploy.add_argument(
        "--component",
        action="store_true",
        help="the plugin's component, as `build` made it, which nodes fetch from the hub",
    )
    deploy.add_argument(
        "--world",
        default="",
        metavar="WORLD",
        help="the world of NAME.wasm, where no plugin.toml is beside it",
    )
    _add_nodes(deploy)
    deploy.add_argument(
        "--canary", default="", metavar="NODE", help="this one first, the rest if it kept it"
    )
    deploy.add_argument(
        "--polls",
        type=_polls,
        default=DEFAULT_PROBATION,
        metavar="N",
        help=f"good polls until a version is kept; default: {DEFAULT_PROBATION}",
    )
    deploy.add_argument(
        "--shadow",
        action="store_true",
        help="let it poll beside the version that runs, without effects; the node's page compares "
        "both. `deploy` without it promotes it, `rollback` drops it",
    )
    back = verbs.add_parser("rollback", help="bring the version before back to nodes")
    define_hub_command(
        back,
        "Bring the version that a node kept before, or its own file, back. The hub must be "
        "running.",
        lambda options: _commands("rollback").roll_back(options),
    )
    back.add_argument("plugin", metavar="NAME")
    _add_nodes(back)
    key = verbs.add_parser("key", help="print the hub's key, for nodes enrolled before it had one")
    define_hub_command(
        key,
        "Print the line with the hub's public key for a node's credentials.toml.",
        lambda options: _commands("key").print_key(options),
    )


def _add_nodes(parser: argparse.ArgumentParser) -> None:
    nodes = parser.add_mutually_exclusive_group(required=True)
    nodes.add_argument("--to", metavar="NODE,NODE", help="these nodes")
    nodes.add_argument("--area", metavar="AREA", help="the nodes of an area that run the plugin")
    nodes.add_argument("--all", action="store_true", help="all nodes that run the plugin")
    parser.add_argument("--no-wait", action="store_true", help="do not wait for what becomes of it")


def _commands(verb: str) -> ModuleType:
    return extras.load("harvester.hub.delivery.commands", f"harvester plugins {verb}", "hub")


def _polls(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PROBATION:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 to {MAX_PROBATION}")
    return int(text)
