"""`harvester`: what spans nodes. Build the plugins, start the whole system, examine a machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from broker import command_line, config_file
from broker.command_line import EXIT_MISCONFIGURED
from broker.errors import HarvesterError, MisconfiguredError
from harvester import doctor, plugin_build, plugin_compile, plugin_source
from harvester.doctor_machine import this_machine
from harvester.errors import BuildError
from harvester.up import Options, up
from node_agent.sandbox.engine import Target

EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MisconfiguredError as e:
        print(e, file=sys.stderr)
        sys.exit(EXIT_MISCONFIGURED)
    except HarvesterError as e:
        print(e, file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="harvester", description="What spans HARVESTER's nodes.")
    parser.add_argument(
        "--project",
        type=Path,
        default=Path.cwd(),
        metavar="DIR",
        help="folder with wit/, plugins/ and config/; default: this one",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    _add_plugins(commands)
    _add_doctor(commands)
    return parser


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    added = commands.add_parser(
        "up", help="start hub, two agents and the Pi Zero service here, on simulated hardware"
    )
    added.add_argument("--web-port", type=int, default=3000, help="the page; default: 3000")
    added.add_argument("--mqtt-port", type=int, default=1883, help="the broker; default: 1883")
    added.add_argument(
        "--zero-port", type=int, default=8080, help="the Pi Zero's /health; default: 8080"
    )
    added.add_argument(
        "--scenario",
        type=Path,
        metavar="FILE",
        help="what happens to the simulated chips, for example config/scenarios/heat-wave.toml",
    )
    added.set_defaults(run=_up)


def _add_plugins(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    plugins = commands.add_parser("plugins", help="build and list the plugins")
    verbs = plugins.add_subparsers(required=True, metavar="COMMAND")
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


def _add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "find what this node lacks of what its configuration asks for, and what mends it"
    added = commands.add_parser(
        "doctor",
        help=about,
        description=about,
        parents=[command_line.parser("harvester doctor", "")],
        conflict_handler="resolve",
    )
    added.add_argument("--role", choices=("hub", "spoke", "pizero"), required=True)
    added.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    if options.role != "pizero":
        options.overrides.append(f"cluster.role={options.role}")
    # What its parts log is in its lines already, but who asks for more gets it.
    options.overrides.insert(0, "logging.level=error")
    options.config = options.config or config_file.find(options.role, options.project)
    config = command_line.load(options, options.role)
    text, well = doctor.report(config, options.role, this_machine(os.environ))
    print(text)
    sys.exit(0 if well else EXIT_FAILED)


def _up(options: argparse.Namespace) -> None:
    build(options.project, [], force=False)
    sys.exit(
        up(
            Options(
                project=options.project.resolve(),
                web_port=options.web_port,
                mqtt_port=options.mqtt_port,
                zero_port=options.zero_port,
                scenario=options.scenario.resolve() if options.scenario else None,
            )
        )
    )


def _build(options: argparse.Namespace) -> None:
    build(options.project, options.names, force=options.force)


def build(project: Path, names: Sequence[str], *, force: bool) -> None:
    """Build what changed and say so. Raises BuildError where a plugin does not build."""
    wit = _wit(project)
    sources = _chosen(project, names)
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
    sources = _chosen(options.project, options.names)
    failed = False
    for outcome in plugin_compile.compile_all(sources, Target(options.target), options.output):
        print(outcome, flush=True)
        failed = failed or bool(outcome.error)
    if failed:
        sys.exit(EXIT_FAILED)


def _list(options: argparse.Namespace) -> None:
    wit = _wit(options.project)
    for source in _chosen(options.project, []):
        current = "built" if plugin_source.is_current(source, wit) else "outdated"
        state = current if source.wasm.exists() else "not built"
        print(f"{source.name:<18}{source.manifest.world:<24}{state}")


def _wit(project: Path) -> Path:
    wit = project / "wit" / "plugin.wit"
    if not wit.is_file():
        raise MisconfiguredError(f"{wit}: not found; expected to run in a project, or --project")
    return wit


def _chosen(project: Path, names: Sequence[str]) -> list[plugin_source.PluginSource]:
    sources = plugin_source.discover(project / "plugins")
    known = {source.name: source for source in sources}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MisconfiguredError(
            f"plugins: found {', '.join(unknown)}, expected some of {', '.join(known)}"
        )
    return [known[name] for name in names] if names else sources


if __name__ == "__main__":
    main()
