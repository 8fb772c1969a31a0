"""`harvester plugins`: pack, build, compile, list; others add commands of authors and hubs."""

import argparse
import sys
from pathlib import Path

from bus.errors import MisconfiguredError
from harvester.errors import EXIT_FAILED
from harvester.hub.delivery import cli as delivery_cli
from harvester.plugins import author_cli
from harvester.plugins.builder import runtime
from harvester.plugins.builder.dependencies import vendored
from harvester.plugins.builder.pack import pack, pack_all, write_changed
from harvester.plugins.builder.progress import build_sources
from harvester.plugins.compile import compile_all
from harvester.plugins.project import chosen, contract_file, from_here
from harvester.plugins.replay import cli as replay_cli
from harvester.plugins.source import is_current
from node_agent.sandbox.engine import Target


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    author_cli.add(verbs)
    delivery_cli.add(verbs)
    replay_cli.add(verbs)
    packed = verbs.add_parser("pack", help="pack plugins to bundles, which every node can run")
    packed.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    packed.add_argument(
        "--output", type=Path, metavar="FILE", help="of one plugin; default: in its own folder"
    )
    packed.set_defaults(run=_pack)
    runtime_of = verbs.add_parser("runtime", help="build the component that runs bundles, once")
    runtime_of.set_defaults(run=lambda _options: print(runtime.ensure()))
    locked = verbs.add_parser(
        "lock", help="find the newest packages that plugins depend on, and lock them"
    )
    locked.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    locked.set_defaults(run=_lock)
    build = verbs.add_parser("build", help="build plugins to components, only those that changed")
    build.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    build.add_argument("--force", action="store_true", help="also build those that did not change")
    build.set_defaults(run=_build)
    compiled = verbs.add_parser("compile", help="compile built plugins for another machine")
    compiled.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    compiled.add_argument(
        "--target",
        choices=[target.value for target in Target],
        default=Target.NATIVE.value,
        help="machine code for machines of this kind, or bytecode for any; default: native",
    )
    compiled.add_argument(
        "--output", type=Path, metavar="DIR", help="default: the component's own folder"
    )
    compiled.set_defaults(run=_compile)
    listed = verbs.add_parser("list", help="list the plugins, their world and their build state")
    listed.set_defaults(run=_list)


def _pack(options: argparse.Namespace) -> None:
    sources, wit = chosen(options.project, options.names), contract_file(options.project)
    if options.output is None:
        pack_all(sources, wit)
        outputs = [source.bundle for source in sources]
    elif len(sources) == 1:
        write_changed(options.output, pack(sources[0], wit))
        outputs = [options.output]
    else:
        raise MisconfiguredError(f"--output: found {len(sources)} plugins, expected one NAME")
    for output in outputs:
        print(f"{from_here(output)}: {output.stat().st_size / 1e3:.1f} KB")


def _lock(options: argparse.Namespace) -> None:
    for source in chosen(options.project, options.names):
        packages = vendored.renew(source).package if source.manifest.dependencies.packages else []
        words = ", ".join(f"{one.name} {one.version}" for one in packages)
        print(f"{source.name}: {words or 'its plugin.toml names no packages'}")


def _build(options: argparse.Namespace) -> None:
    sources = chosen(options.project, options.names)
    build_sources(sources, contract_file(options.project), force=options.force)


def _compile(options: argparse.Namespace) -> None:
    sources = chosen(options.project, options.names)
    failed = False
    for outcome in compile_all(sources, Target(options.target), options.output):
        print(outcome, flush=True)
        failed = failed or bool(outcome.error)
    if failed:
        sys.exit(EXIT_FAILED)


def _list(options: argparse.Namespace) -> None:
    wit = contract_file(options.project)
    for source in chosen(options.project, []):
        current = "built" if is_current(source, wit) else "outdated"
        state = current if source.wasm.exists() else "not built"
        packed = "packed" if source.bundle.is_file() else "not packed"
        print(f"{source.name:<18}{source.manifest.world:<24}{packed}, {state}")
