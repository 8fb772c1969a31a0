"""`harvester nodes update`: updates nodes to the hub's version, one after the other."""

import argparse
import os
import time

from bus.clock import now_ms
from bus.config import hub_files
from bus.errors import UnavailableError
from harvester.hub.options import define_hub_command, hub_config
from hub_app.nodes import workers
from hub_app.nodes.enrolled import check_enrolled, enrolled_nodes
from hub_app.nodes.update import round as rounds
from hub_app.nodes.update import round_file
from hub_app.nodes.update.round import Round

_POLL_S = 1.0


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    update = verbs.add_parser("update", help="update nodes to the hub's version")
    define_hub_command(
        update,
        "Update nodes to the version of this hub, one after the other. Each judges the new version "
        "for a minute and keeps it or rolls back by itself; one that did not keep it stops the "
        "round. A node that is away follows when it comes. The hub must be running.",
        _update,
    )
    update.add_argument("node", nargs="*", help="a node's id; without any, every node")
    update.add_argument(
        "--canary", default="", metavar="NODE", help="update this one first, the rest if it kept it"
    )


def _update(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = hub_files.of(config, os.environ)
    workers.check_named(config, files)
    known = [name for name in enrolled_nodes(files) if name != config.cluster.node_id]
    check_enrolled((*options.node, *([options.canary] if options.canary else [])), known, files)
    path = files.state_dir / round_file.FILE_NAME
    made = rounds.begin(options.node or known, options.canary, now_ms())
    round_file.start(path, made)
    print(f"updates {', '.join(made.nodes)}; this goes on without you", flush=True)
    shown: dict[str, str] = {}
    while True:
        found = round_file.load(path)
        shown = _show(found, shown)
        if found.started_ms != made.started_ms:
            raise UnavailableError("another round was begun meanwhile")
        if found.stopped:
            raise UnavailableError(f"the round stops: {found.stopped}")
        if found.is_over:
            return
        time.sleep(_POLL_S)


def _show(found: Round, shown: dict[str, str]) -> dict[str, str]:
    """Print what changed; return what is shown now."""
    now = {}
    for name, node in found.nodes.items():
        words = [node.progress, node.phase if node.phase != node.progress else ""]
        now[name] = " ".join(words).strip()
        if now[name] != shown.get(name):
            print(f"{name}: {now[name]}", flush=True)
    return now
