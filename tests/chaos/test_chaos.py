"""Everything that breaks at once, on real processes: what plugins returned is kept, once."""

import pytest

from tests.chaos.faults import KINDS, plan
from tests.chaos.play import logs, play, running_system
from tests.chaos.report import table
from tests.chaos.system import Pace


def test_a_seed_is_a_plan() -> None:
    assert plan(7, 100) == plan(7, 100)
    assert plan(7, 100) != plan(8, 100)
    assert {fault.kind for fault in plan(7, 100)} == KINDS.keys()


@pytest.mark.timeout(300)
def test_ten_faults_lose_nothing_and_store_nothing_twice() -> None:
    with running_system(Pace()) as (system, watch):
        run = play(system, watch, plan(2016, 10, longest_s=2.0), print, waits=False)
        assert run.is_good, f"{table(run)}\n{logs(system)}"
        assert len(run.found.produced) > 50
