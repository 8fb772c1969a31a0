"""Readings at which the writer fails are found by halving; all others are stored."""

import sqlite3
from collections.abc import Callable, Sequence

import pytest

from hub_app.history.commit.isolation import store_apart
from hub_app.history.writer import Arrival, Outcome
from tests.hub_app.history.samples import reading

ARRIVALS = [Arrival(reading(seq), is_late=False) for seq in range(1000)]


def failing_at(*bad: int, error: type[Exception] = ValueError) -> Callable[..., Outcome]:
    """Return a writer's `store` that fails at the readings with these numbers."""

    def store(arrivals: Sequence[Arrival]) -> Outcome:
        seqs = [one.reading.seq for one in arrivals]
        if set(seqs) & set(bad):
            raise error("a mistake")
        return Outcome(len(seqs), [one.reading for one in arrivals], [])

    return store


def is_of_file(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error)


@pytest.mark.parametrize("bad", [(0,), (999,), (500,), (3, 4), (1, 400, 998)])
def test_of_a_thousand_readings_only_those_that_fail_are_not_stored(bad: tuple[int, ...]) -> None:
    outcome, failed = store_apart(ARRIVALS, failing_at(*bad), is_of_file)
    assert [(one.seq, cause) for one, cause in failed] == [
        (seq, "ValueError('a mistake')") for seq in bad
    ]
    assert [one.seq for one in outcome.kept] == [seq for seq in range(1000) if seq not in bad]
    assert outcome.added == 1000 - len(bad)


def test_a_writer_that_fails_at_every_reading_is_the_fault_of_none() -> None:
    with pytest.raises(ValueError, match="a mistake"):
        store_apart(ARRIVALS, failing_at(*range(1000)), is_of_file)
    with pytest.raises(ValueError, match="a mistake"):
        store_apart(ARRIVALS[:1], failing_at(0), is_of_file)


def test_a_fault_of_the_file_isolates_nothing() -> None:
    with pytest.raises(sqlite3.OperationalError):
        store_apart(ARRIVALS, failing_at(3, error=sqlite3.OperationalError), is_of_file)


def test_of_too_many_failures_the_rest_comes_again() -> None:
    outcome, failed = store_apart(ARRIVALS, failing_at(*range(0, 1000, 2)), is_of_file)
    assert 0 < len(failed) < 100
    assert all(one.seq % 2 for one in outcome.kept)
