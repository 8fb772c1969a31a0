"""Deploy and rollback of a plugin: begin a rollout in the hub's files, and follow it."""

import argparse
import os
import time

import msgspec

from broker.auth import bundle_key
from bus.clock import now_ms
from bus.config import hub_files
from bus.config.hub_files import HubFiles
from bus.config.settings import Config
from bus.errors import UnavailableError
from harvester.hub.delivery import deployed
from harvester.hub.options import hub_config
from hub_app.nodes import workers
from hub_app.nodes.delivery import rollout
from hub_app.nodes.delivery.delivery_files import DeliveryFiles
from hub_app.nodes.delivery.reason import sentences
from hub_app.nodes.delivery.rollout import NodeRollout, Rollout
from hub_app.nodes.enrolled import check_enrolled, enrolled_nodes

_POLL_S = 0.5
# A hub that runs begins within a second.
_PATIENCE_S = 15.0


def deploy(options: argparse.Namespace) -> None:
    config = hub_config(options)
    files = _files(config)
    found = deployed.find(options, prefers_component=config.plugins.form == "component")
    made = _made(
        options, files, Rollout(plugin=found.name, canary=options.canary, target=found.target)
    )
    deliveries = DeliveryFiles(files.state_dir)
    target = found.keep(deliveries)
    size, version = _size(len(found.content)), target.version or target.sha256[:12]
    print(f"deploys {found.name} {version}, {size}, to {_where(made)}", flush=True)
    _run(deliveries, msgspec.structs.replace(made, target=target), waits=not options.no_wait)


def roll_back(options: argparse.Namespace) -> None:
    files = _files(hub_config(options))
    made = _made(options, files, Rollout(plugin=options.plugin, action="rollback"))
    print(f"rolls {options.plugin} back at {_where(made)}", flush=True)
    _run(DeliveryFiles(files.state_dir), made, waits=not options.no_wait)


def print_key(options: argparse.Namespace) -> None:
    files = hub_files.of(hub_config(options), os.environ)
    print(f'bundle_key = "{bundle_key.ensure(files.login_dir)}"')


def _files(config: Config) -> HubFiles:
    """Return the files of the hub whose nodes are meant. Raises MisconfiguredError."""
    files = hub_files.of(config, os.environ)
    workers.check_named(config, files)
    return files


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} KB"


def _made(options: argparse.Namespace, files: HubFiles, made: Rollout) -> Rollout:
    """Return a rollout for the nodes that the options name. Raises MisconfiguredError."""
    names = [name.strip() for name in (options.to or "").split(",") if name.strip()]
    canary = [made.canary] if made.canary else []
    check_enrolled((*names, *canary), enrolled_nodes(files), files)
    made = msgspec.structs.replace(
        made, started_ms=now_ms(), area=options.area or "", is_all=options.all
    )
    return rollout.for_nodes(made, names)


def _where(made: Rollout) -> str:
    where = ", ".join(made.nodes) or (f"the area {made.area}" if made.area else "all nodes")
    return f"{where}; {made.canary} first" if made.canary else where


def _run(files: DeliveryFiles, made: Rollout, *, waits: bool) -> None:
    """Begin a rollout and print what becomes of it, until only absent nodes are missing."""
    files.start(made)
    shown: dict[str, str] = {}
    started_s = time.monotonic()
    while waits:
        found = files.load().rollouts[made.plugin]
        if found.started_ms != made.started_ms:
            raise UnavailableError("another rollout of this plugin was begun meanwhile")
        shown = _show(found, shown)
        if found.stopped:
            raise UnavailableError(f"the rollout stops: {found.stopped}")
        if found.is_over:
            _check(found)
            return
        if found.is_waiting_for_absent:
            print("what is away gets it when it comes; this goes on without you", flush=True)
            return
        if found == made and time.monotonic() - started_s > _PATIENCE_S:
            raise UnavailableError("the hub did not begin; it does so when it runs")
        time.sleep(_POLL_S)


def _check(found: Rollout) -> None:
    """Raise UnavailableError where a node did not keep it."""
    failed = [name for name, node in found.nodes.items() if node.progress == "failed"]
    if failed:
        raise UnavailableError(f"not kept by {', '.join(failed)}; the version before runs there")


def _show(found: Rollout, shown: dict[str, str]) -> dict[str, str]:
    """Print what changed; return what is shown now."""
    now = {name: _words(node) for name, node in found.nodes.items()}
    for name, words in now.items():
        if words != shown.get(name, "waiting"):
            print(f"{name}: {words}", flush=True)
    return now


def _words(node: NodeRollout) -> str:
    phase = node.phase or node.progress
    return f"{phase}: {sentences(node.reason)}" if node.reason else phase
