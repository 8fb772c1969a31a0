"""`harvester join-code`: prints the one line that makes a new machine a node."""

import argparse
import os
import sys
import time

from bus.config import hub_files
from bus.contract.join import Attached
from bus.listen import is_listening
from harvester.hub.options import define_hub_command, hub_config
from harvester.install import attached_options
from hub_app.nodes.join import codes, endpoint, service
from hub_app.nodes.join.codes import NodeWish

# It looks for codes every half a second.
_OPENS_S = 10.0
_CONNECT_S = 2.0
_LOOK_S = 0.1
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
    print(f"On the new machine, within {_MINUTES} minutes:\n\n  {line}\n", flush=True)
    if not _opens(endpoint.listen_address(config), _OPENS_S):
        print(
            f"Port {config.web.join_port} of this hub does not answer yet. Is the hub running?",
            file=sys.stderr,
        )


def _opens(address: tuple[str, int], patience_s: float) -> bool:
    """Wait until the running hub, which looks for codes, has opened the port."""
    end_s = time.monotonic() + patience_s
    while not is_listening(address, _CONNECT_S):
        if time.monotonic() >= end_s:
            return False
        time.sleep(_LOOK_S)
    return True


def _wish(options: argparse.Namespace) -> NodeWish:
    named = attached_options.read(options)
    return NodeWish(
        node=options.node,
        replace=options.replace,
        area=attached_options.read_area(options),
        # Without a word of it, the script asks the person at the machine.
        attached=None if named == Attached() else named,
    )
