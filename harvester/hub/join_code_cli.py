"""`harvester join-code`: prints the one line that makes a new machine a node."""

import argparse
import os

from bus.config import hub_files
from bus.contract.join import Attached
from harvester.hub.options import define_hub_command, hub_config
from harvester.install import attached_options
from hub_app.nodes.join import codes, service
from hub_app.nodes.join.codes import NodeWish

_MINUTES = codes.VALID_MS // 60_000


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    about = (
        "Print one line to run on a new machine, which makes it a node. It holds a code that is "
        f"good for one machine and {_MINUTES} minutes. The hub must be running."
    )
    define_hub_command(parser, about, _join_code)
    parser.add_argument("node", help="the new node's id, for example pi4")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--replace",
        action="store_true",
        help="the machine takes the place of one that has this name, and keeps its history; the "
        "old one's login ends",
    )
    what.add_argument("--revoke", action="store_true", help="revoke the code for this node")
    parser.add_argument(
        "--host", default="", help="name or address of this hub, one that its certificate has"
    )
    attached_options.define(parser)


def _join_code(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    if options.revoke:
        was_there = codes.revoke(files.state_dir / codes.FILE_NAME, options.node)
        print(f"{options.node}: {'code revoked' if was_there else 'found no code'}")
        return
    line, _ = service.make_line(config, files, _wish(options), options.host)
    print(f"On the new machine, within {_MINUTES} minutes:\n\n  {line}\n")


def _wish(options: argparse.Namespace) -> NodeWish:
    named = attached_options.read(options)
    return NodeWish(
        node=options.node,
        replace=options.replace,
        area=attached_options.read_area(options),
        # Without a word of it, the script asks the person at the machine.
        attached=None if named == Attached() else named,
    )
