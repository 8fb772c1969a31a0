"""Progress of an order: trial, probation, kept, failed, and back to the version before."""

import msgspec
import pytest

from node_agent.delivery import progress
from node_agent.delivery.progress import (
    FAILED,
    KEPT,
    OWN_FILE,
    PROBATION,
    ROLLED_BACK,
    SHADOW,
    TRIAL,
    Progress,
    Version,
)


def version(release: int, sha256: str = "") -> Version:
    return Version(
        release, sha256 or f"{release:064x}", f"{release}.0", 5, f"order {release}", b"s"
    )


FIRST, SECOND = version(1), version(2)


def on_probation(wanted: Version = FIRST, found: Progress | None = None) -> Progress:
    return progress.tried(progress.take(found or Progress(), wanted, 1), "", 2)


def kept(wanted: Version = FIRST) -> Progress:
    return progress.polled(on_probation(wanted), 5, 0, "", 3)


def test_a_new_version_is_tried_then_on_probation_then_kept() -> None:
    found = progress.take(Progress(), FIRST, 1)
    assert (found.phase, found.current) == (TRIAL, OWN_FILE)
    found = progress.tried(found, "", 2)
    assert (found.phase, found.current, found.good) == (PROBATION, FIRST, OWN_FILE)
    found = progress.polled(found, 4, 0, "", 3)
    assert (found.phase, found.polls) == (PROBATION, 4)
    found = progress.polled(found, 5, 0, "", 4)
    assert (found.phase, found.good, found.polls, found.since_ms) == (KEPT, FIRST, 5, 4)


def test_a_version_that_fails_its_trial_never_runs() -> None:
    found = progress.tried(progress.take(kept(), SECOND, 4), "no grant", 5)
    assert (found.phase, found.reason, found.current, found.good) == (
        *(FAILED, "no grant", FIRST, FIRST),
    )


def test_a_version_that_fails_on_probation_goes_back_to_the_one_before() -> None:
    found = progress.failed(on_probation(SECOND, kept()), "ValueError", 6)
    assert (found.phase, found.reason, found.current) == (ROLLED_BACK, "ValueError", FIRST)


def test_a_version_that_was_kept_does_not_go_back_when_it_fails() -> None:
    assert progress.failed(kept(), "ValueError", 9) == kept()


def test_a_version_without_enough_good_polls_goes_back() -> None:
    found = progress.polled(on_probation(), 4, 5, "no reading", 9)
    assert found.phase == PROBATION
    found = progress.polled(on_probation(), 4, 6, "no reading", 9)
    assert (found.phase, found.reason) == (
        ROLLED_BACK,
        "only 4 of 10 polls were good: no reading",
    )


def test_a_third_version_on_trial_leaves_the_proven_one_to_go_back_to() -> None:
    third = version(3)
    found = progress.take(on_probation(SECOND, kept()), third, 7)
    assert (found.phase, found.current, found.good) == (TRIAL, SECOND, FIRST)
    # The second fails meanwhile: that is no outcome of the third.
    found = progress.failed(found, "ValueError", 8)
    assert (found.phase, found.current) == (TRIAL, FIRST)
    found = progress.failed(progress.tried(found, "", 9), "TypeError", 10)
    assert (found.phase, found.reason, found.current) == (ROLLED_BACK, "TypeError", FIRST)


def test_an_order_for_what_runs_already_is_kept_at_once() -> None:
    again = msgspec.structs.replace(FIRST, release=9, order="order 9")
    found = progress.take(kept(), again, 5)
    assert (found.phase, found.current, found.good) == (KEPT, again, again)
    own = Version(release=10, order="order 10", probation=5)
    assert progress.take(Progress(), own, 5).phase == KEPT


def test_an_order_for_what_is_on_probation_lets_it_go_on() -> None:
    half = progress.polled(on_probation(), 3, 0, "", 3)
    again = msgspec.structs.replace(FIRST, release=9, order="order 9")
    found = progress.take(half, again, 5)
    assert (found.phase, found.current, found.good, found.polls) == (PROBATION, again, OWN_FILE, 3)


@pytest.mark.parametrize("found", [progress.take(Progress(), FIRST, 1), on_probation()])
def test_a_version_that_takes_the_node_down_is_not_tried_for_ever(found: Progress) -> None:
    for _ in range(progress.MAX_STARTS):
        found = progress.started(found, 8)
        assert found.phase in {TRIAL, PROBATION}
    found = progress.started(found, 9)
    assert (found.phase, found.current) in {(FAILED, OWN_FILE), (ROLLED_BACK, OWN_FILE)}
    assert found.reason == "the node was started 4 times before it was kept"


def test_a_start_with_a_kept_version_changes_nothing() -> None:
    assert progress.started(kept(), 9) == kept()


def test_the_bundles_that_are_needed_are_those_that_may_run() -> None:
    assert on_probation(SECOND, kept()).files == {FIRST.sha256, SECOND.sha256}
    assert progress.take(kept(), SECOND, 4).files == {FIRST.sha256, SECOND.sha256}
    assert kept().files == {FIRST.sha256}
    assert Progress().files == set()


SHADOWED = msgspec.structs.replace(SECOND, is_shadow=True)


def test_a_shadow_that_takes_the_node_down_is_not_started_for_ever() -> None:
    found = progress.take(kept(), SHADOWED, 7)
    for _ in range(progress.MAX_STARTS):
        found = progress.started(found, 8)
        assert found.phase == SHADOW
    found = progress.started(found, 9)
    assert (found.phase, found.current, found.good) == (FAILED, FIRST, FIRST)
    assert found.reason == "the node was started 4 times before it was kept"


def test_a_shadow_that_polls_outlives_any_number_of_starts() -> None:
    found = progress.take(kept(), SHADOWED, 7)
    for _ in range(10):
        found = progress.shadow_polled(progress.started(found, 8), SHADOWED.probation)
        assert (found.phase, found.starts) == (SHADOW, 0)
    assert progress.shadow_polled(progress.started(found, 8), 1).starts == 1
