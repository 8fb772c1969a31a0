"""Text of a replay: its polls, their calls, and the differences from the record."""

import difflib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from harvester.plugins.replay.trace import HostCall
from node_agent.recorder.events import (
    Call,
    Event,
    Failed,
    Monotonic,
    Outcome,
    Random,
    Returned,
    Step,
    to_answer,
)
from node_agent.recorder.playback import PlayedStep
from node_agent.recorder.record_file import Record

_CALL_COLUMNS = 76
_MAX_LINES = 200


def head(record: Record) -> Iterator[str]:
    """Yield what the record is of."""
    made = datetime.fromtimestamp(record.made_ms / 1000, UTC)
    plugin = record.plugin
    polls = sum(step.number > 0 for step in record.steps.kept)
    version = f", version {plugin.version}" if plugin.version else ""
    yield f"{plugin.name} of {record.node}, {made:%Y-%m-%d %H:%M:%S} UTC: {record.reason}"
    if record.fault:
        yield f"  {record.fault}"
    yield f"  {plugin.sha256[:12]}{version}; {polls} polls"
    if record.steps.missing:
        yield f"  {gap(record)}"


def gap(record: Record) -> str:
    """Return the sentence about polls that are not in the record."""
    steps = record.steps
    newest = steps.kept[len(steps.kept) - steps.newest :]
    first = newest[0]
    missing = f"polls {first.number - steps.missing} to {first.number - 1} are not in the record"
    if first.state is not None:
        return f"{missing}: poll {first.number} begins with the state that was kept of the plugin"
    reason = next((step.no_state for step in newest if step.no_state), "none was kept so far")
    return f"{missing}, and what the plugin remembered of them is missing: {reason}"


def not_again(record: Record, last: PlayedStep, not_restored: str) -> Iterator[str]:
    """Yield why the fault of the record may not have come again, where it has not."""
    recorded, played = last.recorded.outcome, last.played.outcome
    if not isinstance(recorded, Failed) or recorded == played:
        return
    came = "another one came" if isinstance(played, Failed) else "none came"
    yield f"the recorded fault did not come again in {name_of(last.recorded)}: {came}"
    if record.steps.missing:
        yield f"  {gap(record)}"
    if not_restored:
        yield f"  its state could not be brought back: {not_restored}"


def name_of(step: Step) -> str:
    return f"poll {step.number}" if step.number else "load"


def step_lines(step: Step, events: Iterable[Event]) -> Iterator[str]:
    """Yield the calls of a step with their recorded times, and its outcome."""
    for number, event in enumerate(events):
        if number >= _MAX_LINES:
            yield "  ... and more"
            break
        if isinstance(event, Call):
            took_ms = event.took_us / 1000
            yield f"  {f'call     {_call(event)}':<{_CALL_COLUMNS}} {took_ms:8.2f} ms"
    yield from outcome_lines(step.outcome)


def outcome_lines(outcome: Outcome | None) -> Iterator[str]:
    if isinstance(outcome, Failed):
        yield f"  fault    {outcome.message}"
        yield from (f"  {line}" for line in outcome.traceback.splitlines())
    elif isinstance(outcome, Returned) and outcome.value is not None:
        kind = "err" if isinstance(outcome.value, str) else "returned"
        yield f"  {kind:<8} {outcome.value}"


def differences(step: PlayedStep) -> Iterator[str]:
    """Yield the lines of a step that differ: `-` recorded, `+` played."""
    recorded = [*_lines(step.recorded_events), *outcome_lines(step.recorded.outcome)]
    played = [*_lines(step.played_events), *outcome_lines(step.played.outcome)]
    for line in difflib.unified_diff(recorded, played, n=1, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def _lines(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        if isinstance(event, Call):
            yield f"  call     {_call(event)}"
        elif isinstance(event, Random):
            yield f"  random   {event.content.hex()}"
        elif isinstance(event, Monotonic):
            yield f"  clock    {event.ns / 1e9:.9f} s"
        else:
            yield f"  time     {event.ns / 1e9:.9f}"


def _call(call: Call) -> HostCall:
    arguments = tuple(to_answer(argument) for argument in call.arguments)
    return HostCall(call.interface, call.function, arguments, to_answer(call.answer), 0.0)
