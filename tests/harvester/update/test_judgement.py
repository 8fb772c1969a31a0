"""Judgement of a new version: what is stored, what fails, and for how long."""

from bus.install.update_record import UnitBefore
from bus.install.vital_signs import VitalSigns
from harvester.update.judgement import Judgement, Limits, UnitNow, Verdict

UNIT = "agent"
LIMITS = Limits(judged_s=60, settle_s=300, away_s=200, restarts=2)


def unit(
    *, stored: int = 1, loading: int = 0, faults: int = 0, restarts: int = 0, active: bool = True
) -> dict[str, UnitNow]:
    signs = VitalSigns(stored, faults, loading, 1)
    return {UNIT: UnitNow(is_active=active, restarts=restarts, vital=signs)}


def judgement(*, stores: bool = True, faults: int | None = 0) -> Judgement:
    return Judgement({UNIT: UnitBefore(stores, faults)}, LIMITS, 0.0)


def test_a_service_that_stores_is_kept_after_its_time() -> None:
    judge = judgement()
    assert judge.observe(1, unit()) is None
    assert judge.observe(60, unit()) is None
    assert judge.observe(61, unit()) == Verdict("")


def test_the_time_begins_when_plugins_are_loaded() -> None:
    judge = judgement()
    assert judge.observe(100, unit(stored=0, loading=1)) is None
    assert judge.observe(110, unit(stored=0)) is None
    assert judge.observe(169, unit()) is None
    assert judge.observe(170, unit()) == Verdict("")


def test_nothing_stored_is_a_reason() -> None:
    judge = judgement()
    judge.observe(0, unit(stored=0))
    assert judge.observe(60, unit(stored=0)) == Verdict("agent has stored no reading in 60 s")


def test_a_node_that_never_stored_need_not_store() -> None:
    judge = judgement(stores=False)
    judge.observe(0, unit(stored=0))
    assert judge.observe(60, unit(stored=0)) == Verdict("")


def test_a_fault_that_was_there_before_is_none_of_the_new_version() -> None:
    for before, reason in ((1, ""), (0, "agent has 1 faults, before it had 0"), (None, "")):
        judge = judgement(faults=before)
        judge.observe(0, unit(faults=1))
        assert judge.observe(60, unit(faults=1)) == Verdict(reason)


def test_a_service_that_ends_again_and_again_is_bad_at_once() -> None:
    judge = judgement()
    assert judge.observe(0, unit(restarts=4)) is None
    assert judge.observe(5, unit(restarts=6, active=False)) is None
    assert judge.observe(9, unit(restarts=7, active=False)) == Verdict("agent ended 3 times")


def test_a_failed_service_is_bad_at_once() -> None:
    found = judgement().observe(0, {UNIT: UnitNow(is_active=False, is_failed=True)})
    assert found == Verdict("agent failed")


def test_a_service_that_never_comes_up_has_a_longest_time() -> None:
    judge = judgement()
    assert judge.observe(299, unit(active=False)) is None
    assert judge.observe(300, unit(active=False)) == Verdict("not up after 300 s: agent")


def test_an_absent_hub_is_waited_for_and_judged_again() -> None:
    judge = judgement()
    judge.observe(0, unit(stored=0))
    for now_s in (50, 61, 150):
        assert judge.observe(now_s, unit(stored=0), has_hub=False) is None
    assert judge.observe(160, unit()) is None
    assert judge.observe(220, unit()) == Verdict("")
    assert judge.observe(230, unit(), has_hub=False) is None
    found = judge.observe(430, unit(), has_hub=False)
    assert found == Verdict("the hub could not be reached, so nothing could be judged")
