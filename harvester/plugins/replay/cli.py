"""`harvester plugins replay`: plays a record, and says whether everything is the same."""

import argparse
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from bus.errors import MisconfiguredError
from harvester.errors import EXIT_FAILED
from harvester.plugins.project import from_here, runnable
from harvester.plugins.replay import as_test, replaying, report
from harvester.plugins.replay.replaying import Playing
from node_agent.recorder.playback import PlayedStep
from node_agent.recorder.record_file import Record

# Steps whose differences are printed; the rest is counted.
_MAX_SHOWN = 5


def add(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    played = verbs.add_parser(
        "replay", help="run a plugin's recorded polls again, without hardware"
    )
    played.add_argument("file", type=Path, metavar="FILE", help="a record, from the node's page")
    played.add_argument(
        "--against",
        type=Path,
        metavar="NEW",
        help="run another version on the recorded answers: a plugin's folder or file",
    )
    played.add_argument(
        "--plugin", type=Path, metavar="FILE", help="the recorded file, where the record lacks it"
    )
    played.add_argument(
        "--as-test",
        type=Path,
        metavar="test_NAME.py",
        help="write a pytest case of the record, for the plugin of --against or of the project; "
        "where neither is there, for the bundle in the record",
    )
    played.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> None:
    if options.as_test is not None:
        record = replaying.read(options.file)
        plugin = options.against or _plugin_of(record, options.project) or options.plugin
        if plugin is None and record.plugin.bundle is None:
            raise MisconfiguredError(
                f"{from_here(options.file)}: has no bundle of {record.plugin.name}, and "
                f"{options.project} no such plugin; expected the plugin by --against FOLDER, or "
                "the recorded file by --plugin FILE"
            )
        for file in as_test.write(record, options.file, options.as_test, plugin):
            print(f"wrote {from_here(file)}")
        return
    with replaying.opened(
        options.file, options.project, plugin=options.plugin, against=options.against
    ) as playing:
        _print(report.head(playing.record))
        if playing.has_other_runtime and options.against is None:
            print(
                "  another build of the runtime plays it: addresses and orders of sets may differ"
            )
        is_same = _tell(playing, shows_last=options.against is None)
    if not is_same:
        sys.exit(EXIT_FAILED)


def _plugin_of(record: Record, project: Path) -> Path | None:
    """Return the folder of the project's plugin of that name, None where there is none."""
    found = (each for each in runnable(project) if each.name == record.plugin.name)
    return next((each.directory for each in found), None)


def _tell(playing: Playing, *, shows_last: bool) -> bool:
    """Play and print; return whether all steps are the same."""
    steps = calls = 0
    not_restored = ""
    differing: list[PlayedStep] = []
    newest: deque[PlayedStep] = deque(maxlen=1)
    for step in playing.steps(lambda line: _print([f"  print    {line}"])):
        steps += 1
        calls += len(step.played_events)
        newest.append(step)
        not_restored = not_restored or step.not_restored
        if not step.is_same:
            differing.append(step)
    if shows_last and newest:
        print(report.name_of(newest[0].recorded))
        _print(report.step_lines(newest[0].played, newest[0].recorded_events))
    _tell_differences(differing, playing.record)
    if shows_last and newest:
        _print(report.not_again(playing.record, newest[0], not_restored))
    if steps < len(playing.record.steps.kept):
        later = len(playing.record.steps.kept) - steps
        print(f"the plugin failed before the last {later} of the recorded polls")
        return False
    if differing:
        print(f"differs in {len(differing)} of {steps} steps")
    else:
        print(f"same: {steps} steps, {calls} calls and values, byte for byte")
    return not differing


def _tell_differences(differing: Iterable[PlayedStep], record: Record) -> None:
    for number, step in enumerate(differing):
        if number >= _MAX_SHOWN:
            print("... and more")
            return
        if step.follows_gap:
            _print([report.gap(record)])
        print(f"{report.name_of(step.recorded)} differs: - recorded, + played")
        _print(report.differences(step))


def _print(lines: Iterable[str]) -> None:
    """Print what a record says, which may come from anybody: without a terminal's commands."""
    for line in lines:
        plain = line.replace("\n", "\n  ")
        print("".join(c if c.isprintable() or c in "\t\n" else ascii(c)[1:-1] for c in plain))
