"""Power cuts at any line of an update: the machine always has a version that works.

The update runs in a process that is killed at a line of its own code. Files then are as they were
at that moment; all that was in memory is gone.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.install.update_record import KEEPING, KEPT, ROLLED_BACK
from harvester.install import environment
from harvester.update.judgement import Limits
from harvester.update.machine import MOST_STARTS
from tests.harvester.update.simulated_machine import NEW, OLD, SimulatedMachine

_CODE = (f"{os.sep}harvester{os.sep}", f"{os.sep}bus{os.sep}files{os.sep}")
# An update without a cut has fewer lines than this.
_MOST_LINES = 1000
_CUT = 9
SOON = Limits(judged_s=3.0)


@pytest.fixture(scope="module", autouse=True)
def no_sync() -> Iterator[None]:
    """A killed process loses nothing that it wrote: bringing it to the disk takes time only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sync", lambda: None)
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


def run_until(machine: SimulatedMachine, line: int | None) -> bool:
    """Run the update's service, killed at its `line`-th line; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if line is not None:
                sys.settrace(_killer(line))
            runner = machine.runner()
            runner.run(runner.resume())
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, _CUT)
    return code == 0


def _killer(line: int) -> Any:
    left = line

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if not any(part in frame.f_code.co_filename for part in _CODE):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os._exit(_CUT)
        return trace

    return trace


def check(machine: SimulatedMachine) -> None:
    """Whatever happened: the links lead to whole environments, updates are done by a kept one."""
    assert machine.in_use in (OLD, NEW)
    for name in (machine.in_use, machine.updater):
        folder = machine.system.path(f"{environment.ENVIRONMENTS}/{name}")
        assert environment.read_identity(folder) == name
    assert machine.updater == OLD or machine.record.phase in (KEEPING, KEPT)
    if machine.record.is_ended:
        assert machine.is_working


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(1, _MOST_LINES), max_size=MOST_STARTS + 2), is_good=st.booleans())
def test_after_power_cuts_at_any_moment_a_version_works(cuts: list[int], is_good: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = "active" if is_good else "failed"
        machine = SimulatedMachine(Path(folder), state=state, limits=SOON)
        machine.make()
        machine.begin()
        interruptions = 0
        for line in cuts:
            is_over = run_until(machine, line)
            interruptions += not is_over
            machine.boot()
            check(machine)
        run_until(machine, None)
        check(machine)
        expected = (KEPT, NEW) if is_good else (ROLLED_BACK, OLD)
        if interruptions < MOST_STARTS or not is_good:
            assert (machine.record.phase, machine.in_use) == expected
        assert machine.record.is_ended


def test_a_whole_update_has_fewer_lines_than_are_cut_at(tmp_path: Path) -> None:
    machine = SimulatedMachine(tmp_path, limits=SOON)
    machine.make()
    machine.begin()
    assert run_until(machine, _MOST_LINES)
