"""`harvester plugins`: build, compile and list; `author_cli` adds the commands for authors."""

import argparse
import sys
from pathlib import Path

from harvester.errors import EXIT_FAILED
from harvester.plugins import author_cli
from harvester.plugins.builder.progress import build_sources
from harvester.plugins.compile import compile_all
from harvester.plugins.project import chosen, contract_file
from harvester.plugins.source import is_current
from node_agent.sandbox.engine import Target


def define(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    author_cli.add(verbs)
    build = verbs.add_parser("build", help="build plugins to WebAssembly, only those that changed")
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
        print(f"{source.name:<18}{source.manifest.world:<24}{state}")
