"""`harvester plugins`: build, compile and list them; what their authors need is in `author_cli`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harvester.errors import EXIT_FAILED, BuildError
from harvester.plugins import author_cli
from harvester.plugins import compile as plugin_compile
from harvester.plugins import source as plugin_source
from harvester.plugins.builder import build as plugin_build
from harvester.plugins.project import chosen, contract_file
from node_agent.sandbox.engine import Target


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    plugins = commands.add_parser("plugins", help="make, build, try and examine plugins")
    verbs = plugins.add_subparsers(required=True, metavar="COMMAND")
    author_cli.add(verbs)
    build = verbs.add_parser("build", help="build plugins to WebAssembly, only what changed")
    build.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    build.add_argument("--force", action="store_true", help="build what did not change, too")
    build.set_defaults(run=_build)
    compiled = verbs.add_parser("compile", help="compile built plugins for another machine")
    compiled.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    compiled.add_argument(
        "--target",
        choices=[target.value for target in Target],
        default=Target.NATIVE.value,
        help="machine code for machines of this kind, or bytecode for any; default: native",
    )
    compiled.add_argument("--output", type=Path, metavar="DIR", help="default: by the component")
    compiled.set_defaults(run=_compile)
    listed = verbs.add_parser("list", help="list the plugins, their world and whether they stand")
    listed.set_defaults(run=_list)


def _build(options: argparse.Namespace) -> None:
    build(options.project, options.names, force=options.force)


def build(project: Path, names: Sequence[str], *, force: bool) -> None:
    """Build what changed and say so. Raises BuildError where a plugin does not build."""
    wit = contract_file(project)
    sources = chosen(project, names)
    wanted = sources if force else plugin_build.outdated(sources, wit)
    if not wanted:
        print(f"plugins: {len(sources)} up to date")
        return
    print(f"plugins: building {', '.join(source.name for source in wanted)}", flush=True)
    failed = []
    for number, built in enumerate(plugin_build.build_all(wanted, wit), 1):
        outcome = "FAILED" if built.error else f"{built.source.wasm.stat().st_size / 1e6:.1f} MB"
        progress = f"[{number}/{len(wanted)}]"
        print(f"  {progress} {built.source.name}: {outcome}, {built.seconds:.1f} s", flush=True)
        if built.error:
            failed.append(built.error)
    if failed:
        raise BuildError("\n".join(failed))


def _compile(options: argparse.Namespace) -> None:
    sources = chosen(options.project, options.names)
    failed = False
    for outcome in plugin_compile.compile_all(sources, Target(options.target), options.output):
        print(outcome, flush=True)
        failed = failed or bool(outcome.error)
    if failed:
        sys.exit(EXIT_FAILED)


def _list(options: argparse.Namespace) -> None:
    wit = contract_file(options.project)
    for source in chosen(options.project, []):
        current = "built" if plugin_source.is_current(source, wit) else "outdated"
        state = current if source.wasm.exists() else "not built"
        print(f"{source.name:<18}{source.manifest.world:<24}{state}")
