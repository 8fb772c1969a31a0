"""Playback of a record: the plugin runs again, in the sandbox, on what was recorded."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from node_agent.recorder.answers import Answers
from node_agent.recorder.events import Event, Failed, Step, comparable, events_of
from node_agent.recorder.instance import RecordedInstance
from node_agent.recorder.record_file import BadRecordError, Record
from node_agent.recorder.recorder import Recorder
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin, entry
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits

# A replay may run on a slower or a busier machine; waits take no time in it.
_DEADLINE_S = 60.0
# Of a poll that was cut off: it has to come to its last call, and then meets its deadline again.
_CUT_OFF_S = 10.0
# The limit of one step when a guest that has changed makes far more calls than were recorded.
_STEP_BYTES = 64 << 20
_TIMEOUT = "took longer than its deadline"
_ASLEEP = ", asleep"


class PlayedStep(msgspec.Struct, frozen=True):
    """A recorded step and the same one played."""

    recorded: Step
    played: Step
    # Whether the steps between this one and the one before are not in the record.
    follows_gap: bool = False
    # Why the recorded state could not be brought back after them.
    not_restored: str = ""

    @property
    def recorded_events(self) -> list[Event]:
        return events_of(self.recorded)

    @property
    def played_events(self) -> list[Event]:
        return events_of(self.played)

    @property
    def is_same(self) -> bool:
        """Whether calls, answers and outcome are the same, byte for byte.

        Of a step that was cut off at its deadline, or was not over, only its calls are known.
        """
        recorded, played = self.recorded_events, self.played_events
        outcome = self.recorded.outcome
        if self.recorded.is_cut or outcome is None or is_timeout(self.recorded):
            begin = played[: len(recorded)]
            return comparable(begin, None) == comparable(recorded, None)
        return comparable(recorded, outcome) == comparable(played, self.played.outcome)


def is_timeout(step: Step) -> bool:
    return isinstance(step.outcome, Failed) and step.outcome.message.startswith(_TIMEOUT)


def is_asleep(step: Step) -> bool:
    return is_timeout(step) and isinstance(step.outcome, Failed) and _ASLEEP in step.outcome.message


def _ignore_line(_line: str) -> None:
    return


def play(
    loaded: LoadedPlugin, record: Record, on_line: Callable[[str], None] = _ignore_line
) -> Iterator[PlayedStep]:
    """Play each step of a record; the iterator ends where the plugin fails.

    Raises BadRecordError where the steps are damaged, ComponentError where the plugin cannot start.
    """
    steps = record.steps.kept
    if not steps:
        raise BadRecordError("the record has no steps")
    answers, recorder = Answers(), Recorder(_STEP_BYTES)
    # A record that lost its beginning has no load: that is made up.
    load = steps[0] if steps[0].number == 0 else None
    if load is not None:
        answers.step(_events(load), load.began_ms)
    try:
        instance = _start(loaded, record, answers, recorder, on_line)
    except PluginError:
        failed = recorder.steps().kept
        if load is None or not failed:
            raise
        yield PlayedStep(load, failed[-1])
        return
    with instance:
        if load is not None:
            yield PlayedStep(load, instance.last_step)
        yield from _play_polls(instance, entry(loaded), record, answers)


def _start(
    loaded: LoadedPlugin,
    record: Record,
    answers: Answers,
    recorder: Recorder,
    on_line: Callable[[str], None],
) -> RecordedInstance:
    limits = _patient(record.limits)
    if isinstance(loaded, LoadedBundle):
        _prepare_code(loaded, record, limits)
    imports = answers.imports(loaded.imports)
    return RecordedInstance(loaded, imports, limits, on_line, sources=answers, recorder=recorder)


def _play_polls(
    instance: RecordedInstance, function: tuple[str, str], record: Record, answers: Answers
) -> Iterator[PlayedStep]:
    steps = record.steps
    first_newest = len(steps.kept) - steps.newest
    for at, step in enumerate(steps.kept):
        if step.number == 0:
            continue
        follows_gap = steps.missing > 0 and at == first_newest
        not_restored = _bring_state(instance, step, follows_gap=follows_gap)
        answers.step(_events(step), step.began_ms, ends_asleep=is_asleep(step))
        if is_timeout(step):
            instance.change_deadline(max(record.limits.deadline_s, _CUT_OFF_S))
        arguments = [step.argument] if step.argument is not None else []
        has_failed = False
        try:
            instance.call(*function, *arguments)
        except PluginError:
            has_failed = True
        yield PlayedStep(step, _cut_off_as(step, instance.last_step), follows_gap, not_restored)
        if has_failed:
            return


def _cut_off_as(recorded: Step, played: Step) -> Step:
    """Return a played step that was cut off, too, with the fault of the recorded deadline."""
    if not (is_timeout(recorded) and is_timeout(played)):
        return played
    if is_asleep(recorded) != is_asleep(played):
        return played
    return msgspec.structs.replace(played, outcome=recorded.outcome)


def _bring_state(instance: RecordedInstance, step: Step, *, follows_gap: bool) -> str:
    """Bring the recorded state back where polls are missing; return why that was not possible."""
    if follows_gap and step.state is not None:
        return instance.restore(step.state)
    if step.state is not None or step.no_state:
        # To take it moves objects in memory, whose addresses a plugin may print.
        instance.state()
    return ""


def _prepare_code(loaded: LoadedBundle, record: Record, limits: Limits) -> None:
    """Load from source or from compiled code as was recorded.

    Objects lie elsewhere in memory after a compilation, and a plugin may print where.
    """
    if record.plugin.had_code and not loaded.has_code:
        answers = Answers()
        with contextlib.suppress(PluginError):
            PluginInstance(
                loaded, answers.imports(loaded.imports), limits, _ignore_line, sources=answers
            ).close()
    loaded.gives_code = record.plugin.had_code


def _events(step: Step) -> list[Event]:
    try:
        return events_of(step)
    except msgspec.DecodeError as e:
        raise BadRecordError(f"step {step.number} of the record is damaged: {e}") from e


def _patient(limits: Limits) -> Limits:
    return msgspec.structs.replace(
        limits,
        deadline_s=max(limits.deadline_s, _DEADLINE_S),
        load_deadline_s=max(limits.load_deadline_s, _DEADLINE_S),
    )


def last(played: Iterator[PlayedStep]) -> PlayedStep:
    """Return the last step of a playback."""
    (step,) = deque(played, maxlen=1)
    return step
