"""`harvester plugins` for authors: new, test, dev, inspect and stubs."""

import argparse
import json
import sys
from pathlib import Path

import msgspec

from bus.config import config_file
from bus.config.settings import Config
from harvester import scenario_option
from harvester.errors import EXIT_FAILED, BuildError
from harvester.plugins import dev, manifest, trial
from harvester.plugins.builder import runtime
from harvester.plugins.builder.build import build_all, outdated
from harvester.plugins.builder.pack import pack, write_changed
from harvester.plugins.inspect import chips_report, report
from harvester.plugins.new import KINDS, make_plugin
from harvester.plugins.project import CACHE, chosen, contract_file, from_here
from harvester.plugins.project import config_file as project_config
from harvester.plugins.source import PluginSource, read
from harvester.plugins.stubs import write_stubs
from node_agent.hal.simulated.models.load import FILE_NAME

_SCENARIO = "scenario.toml"
_LONGEST_S = 3600


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = verbs.add_parser("new", help="make the folder of a new plugin, ready to run")
    made.add_argument("name", metavar="NAME")
    made.add_argument("--kind", choices=tuple(KINDS), default="i2c", help="default: i2c")
    _add_config(made)
    made.set_defaults(run=_new)
    _add_trials(verbs)
    inspected = verbs.add_parser(
        "inspect",
        help="print a plugin's imports, exports and needed grants, or the chips of a "
        "simulated.py, which is run for that",
    )
    inspected.add_argument("file", type=Path, metavar="NAME|FILE|simulated.py")
    inspected.set_defaults(run=_inspect)
    stubs = verbs.add_parser("stubs", help="write stubs/, for editors and type checkers")
    stubs.set_defaults(run=_stubs)


def _add_trials(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tried = verbs.add_parser("test", help="poll a plugin on simulated hardware; print each call")
    tried.add_argument("--polls", type=_count, default=3, metavar="N", help="default: 3")
    tried.add_argument(
        "--component", action="store_true", help="as a component, which is built first"
    )
    tried.set_defaults(run=_test)
    watched = verbs.add_parser("dev", help="reload and poll a plugin whenever it is saved")
    watched.add_argument("--calls", action="store_true", help="print the host calls of every poll")
    watched.set_defaults(run=_dev)
    for parser in (tried, watched):
        parser.add_argument("name", metavar="NAME")
        _add_config(parser)
        scenario_option.add(
            parser,
            of=" of the plugin's own chip, for example temperature_c=5",
            more="; default: scenario.toml in the plugin's folder, else the configuration's",
        )
        parser.add_argument(
            "--interval",
            type=_seconds,
            metavar="S",
            help="seconds from poll to poll; default: the configuration's",
        )
        parser.add_argument(
            "--grant-all", action="store_true", help="grant the plugin everything that the node has"
        )


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the node's configuration, with the grants; default: config/spoke.toml",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected over 0 and up to {_LONGEST_S} s"
        )
    return value


def _new(options: argparse.Namespace) -> None:
    plugins = options.project / "plugins"
    config = config_file.load(_config_path(options))
    # Where there is none yet, `harvester init config` writes it there.
    own = options.config or options.project / "config" / "spoke.toml"
    called = f"`{from_here(own)}`"
    for file in make_plugin(plugins, options.name, options.kind, config, called):
        print(f"made {from_here(file)}")
    print(
        f"\nTry it:   harvester plugins test {options.name} --grant-all\n"
        f"Work:     harvester plugins dev {options.name} --grant-all\n"
        f"Run it:   add the lines in {from_here(plugins / options.name / 'README.md')} to {called}"
    )


def _test(options: argparse.Namespace) -> None:
    (source,) = chosen(options.project, [options.name])
    config = _bench_config(options)
    wit = contract_file(options.project)
    file = _built(source, wit) if options.component else _packed(source, wit)
    did_well = trial.run(
        source,
        file,
        config,
        options.project / CACHE,
        trial.Options(
            polls=options.polls,
            interval_s=options.interval or config.polling.interval_seconds,
            grant_all=options.grant_all,
        ),
    )
    if not did_well:
        sys.exit(EXIT_FAILED)


def _packed(source: PluginSource, wit: Path) -> Path:
    """Pack what changed, with the runtime that runs it. Raises BuildError."""
    runtime.ensure()
    if write_changed(source.bundle, pack(source, wit)):
        size_kb = source.bundle.stat().st_size / 1e3
        print(f"packed {from_here(source.bundle)}, {size_kb:.1f} KB", flush=True)
    return source.bundle


def _built(source: PluginSource, wit: Path) -> Path:
    """Build what changed. Raises BuildError."""
    for built in build_all(outdated([source], wit), wit):
        if built.error:
            raise BuildError(built.error)
        print(f"built {from_here(source.wasm)} in {built.seconds:.1f} s", flush=True)
    return source.wasm


def _dev(options: argparse.Namespace) -> None:
    (source,) = chosen(options.project, [options.name])
    runtime.ensure()
    dev.run(
        source,
        contract_file(options.project),
        options.project / CACHE,
        dev.Options(
            load_config=lambda: _bench_config(options),
            config_path=_config_path(options),
            interval_s=options.interval,
            grant_all=options.grant_all,
            shows_calls=options.calls,
            scenarios=_scenarios(options, source),
        ),
    )


def _scenarios(options: argparse.Namespace, source: PluginSource) -> tuple[Path, ...]:
    """Return the files that the scenario may come from."""
    named = scenario_option.parse(options.scenario, source.name).file
    return (source.directory / _SCENARIO, *([named] if named is not None else []))


def _inspect(options: argparse.Namespace) -> None:
    if options.file.name == FILE_NAME:
        print(chips_report(options.file))
    else:
        print(report(_plugin_file(options.project, options.file), options.project / CACHE))


def _plugin_file(project: Path, named: Path) -> Path:
    """Return a plugin's bundle, or else component: by its folder, its name or the file itself."""
    if (named / manifest.NAME).is_file():
        return _of_either_form(read(named))
    if named.suffix or len(named.parts) > 1:
        return named
    (source,) = chosen(project, [str(named)])
    return Path(from_here(_of_either_form(source)))


def _of_either_form(source: PluginSource) -> Path:
    return source.bundle if source.bundle.is_file() else source.wasm


def _stubs(options: argparse.Namespace) -> None:
    target = options.project / "stubs"
    written = write_stubs(contract_file(options.project), target)
    print(
        f"wrote {len(written)} files to {from_here(target)}\n"
        f"mypy:     MYPYPATH={from_here(target)} mypy plugins/NAME/app.py\n"
        f'Pyright:  [tool.pyright] stubPath = "{from_here(target)}" in pyproject.toml'
    )


def _bench_config(options: argparse.Namespace) -> Config:
    """Return the node's configuration with simulated hardware, this plugin and its scenario."""
    (source,) = chosen(options.project, [options.name])
    played = scenario_option.parse(options.scenario, source.name)
    own = source.directory.resolve() / _SCENARIO
    if played.file is None and own.is_file():
        played = msgspec.structs.replace(played, file=own)
    return config_file.load(
        _config_path(options),
        [
            "hardware.driver=simulated",
            "hardware.record_file=",
            f"plugins.directory={json.dumps(str(source.directory.resolve().parent))}",
            f"plugins.enabled={json.dumps([source.name])}",
            *played.overrides(),
        ],
    )


def _config_path(options: argparse.Namespace) -> Path:
    return Path(options.config or project_config(options.project, "spoke"))
