"""A run: faults one after another, then quiet until everything has arrived, then the count."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import CalledProcessError

import msgspec

from bus.clock import now_ms
from tests.chaos import inject
from tests.chaos.faults import ALL, SPOKES, Fault
from tests.chaos.inject import UNSOUND, Damages
from tests.chaos.system import SORTS, Pace, System, Watch, small_disk
from tests.chaos.truth import Count, count

START_S = 60.0
RECOVERY_S = 60.0
SETTLE_S = 60.0
_LOOK_S = 0.5
# Room for the history of a run, and quickly filled.
_DISK_MB = 32

Say = Callable[[str], None]


class Outcome(msgspec.Struct):
    """One fault as it happened, and how long after its end each node was heard again, in s."""

    fault: Fault
    begin_ms: int
    end_ms: int
    note: str
    recovered_s: dict[str, float | None] = {}


class Run(msgspec.Struct):
    """All of it. `failures` are sentences about what must not be, besides the count."""

    outcomes: list[Outcome]
    found: Count
    failures: list[str]

    @property
    def is_good(self) -> bool:
        return self.found.is_whole and not self.failures


@contextlib.contextmanager
def running_system(
    pace: Pace, *, external_broker: bool = False, disks: bool = False, folder: Path | None = None
) -> Iterator[tuple[System, Watch]]:
    """Start everything in `folder` or one of its own, and wait until each node is heard.

    `disks`: state directories on small file systems of their own, where we may mount such.
    """
    with contextlib.ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        if disks:
            with contextlib.suppress(CalledProcessError, FileNotFoundError):
                for node in ALL:
                    state = folder / node / "state"
                    state.mkdir(parents=True)
                    stack.enter_context(small_disk(state, _DISK_MB))
        system = stack.enter_context(System(folder, pace, external_broker=external_broker))
        watch = stack.enter_context(Watch(system.history))
        for node in SPOKES:
            assert watch.wait(node, 0, START_S), f"{node} is not heard:\n{logs(system)}"
        yield system, watch


def play(
    system: System, watch: Watch, faults: Sequence[Fault], say: Say, *, waits: bool = True
) -> Run:
    """Do all faults, then count. `waits` False: no fault waits for the end of the one before."""
    damages, outcomes = Damages(), []
    for number, fault in enumerate(faults, 1):
        outcome = _do(system, fault, damages)
        say(
            f"{number:3} {fault.name} for {(outcome.end_ms - outcome.begin_ms) / 1000:.1f} s"
            f" {outcome.note}"
        )
        outcomes.append(outcome)
        for node in _nodes(fault) if fault.waits and waits else ():
            if not watch.wait(node, outcome.end_ms, RECOVERY_S):
                say(f"    {node} is not heard {RECOVERY_S:.0f} s later")
        time.sleep(fault.pause_s)
    quiet_ms = now_ms()
    for node in SPOKES:
        watch.wait(node, quiet_ms, RECOVERY_S)
    found = _settle(system, damages, quiet_ms)
    for outcome in outcomes:
        _note_recovery(outcome, watch)
    return Run(outcomes, found, _failures(system, outcomes))


def logs(system: System) -> str:
    """Return the last lines of every program."""
    return "\n".join(f"--- {n}\n{u.output()[-3000:]}" for n, u in system.units.items())


def _do(system: System, fault: Fault, damages: Damages) -> Outcome:
    begin_ms = now_ms()
    with inject.fault(system, fault, damages) as note:
        time.sleep(fault.duration_s)
    return Outcome(fault, begin_ms, now_ms(), note)


def _nodes(fault: Fault) -> tuple[str, ...]:
    """Return the nodes that a fault keeps from being heard."""
    return (fault.target,) if fault.target in SPOKES else SPOKES


def _settle(system: System, damages: Damages, until_ms: int) -> Count:
    """Wait until everything that was measured until then has arrived, or for SETTLE_S."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        # The rows first: of each the measurement is in the record by then.
        stored = [*damages.history_rows, *system.stored()]
        found = count(
            system.measured(),
            list({row.key: row for row in stored}.values()),
            SORTS,
            hits=damages.hits,
            damaged=damages.outbox_rows,
            until_ms=until_ms,
        )
        waiting = any(row.timestamp_ms <= until_ms for row in system.waiting())
        if (found.is_whole and not waiting) or time.monotonic() > deadline_s:
            return found
        time.sleep(_LOOK_S)


def _note_recovery(outcome: Outcome, watch: Watch) -> None:
    for node in _nodes(outcome.fault):
        at_ms = watch.came_at_ms(node, outcome.end_ms)
        outcome.recovered_s[node] = None if at_ms is None else (at_ms - outcome.end_ms) / 1000


def _failures(system: System, outcomes: Sequence[Outcome]) -> list[str]:
    said = [
        f"{node} was not heard after: {outcome.fault.name}"
        for outcome in outcomes
        for node, recovered_s in outcome.recovered_s.items()
        if recovered_s is None
    ]
    for name, unit in system.units.items():
        output = unit.output()
        if unit.is_misconfigured:
            said.append(f"{name} found itself misconfigured")
        if "Traceback" in output:
            said.append(f"{name}: a traceback in its log")
        unsound = sum(UNSOUND in o.note for o in outcomes if o.fault.target == name)
        if output.count(" is damaged ") < unsound:
            said.append(f"{name} did not say of each of {unsound} files that it is damaged")
    return said
