from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hub_app.fleet.forward.ranges import LAST, SeqRanges

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda r: (r[0], sum(r))))


@given(RANGES)
def test_ranges_hold_what_was_added_and_nothing_else(ranges: list[tuple[int, int]]) -> None:
    added = SeqRanges()
    for first, last in ranges:
        added.add(first, last)
    expected = {seq for first, last in ranges for seq in range(first, last + 1)}
    assert {seq for seq in range(-2, 80) if seq in added} == expected
    pairs = list(added)
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(pairs))
    assert added.last == max(expected, default=-1)


@given(RANGES)
def test_gaps_are_all_other_numbers(ranges: list[tuple[int, int]]) -> None:
    gaps = list(SeqRanges(ranges).gaps())
    expected = {seq for first, last in ranges for seq in range(first, last + 1)}
    found = {seq for first, last in gaps for seq in range(first, min(last, 99) + 1)}
    assert found == set(range(100)) - expected
    assert gaps[-1][1] == LAST


def test_single_numbers_are_added_as_runs() -> None:
    ranges = SeqRanges()
    ranges.add_each([1, 2, 3, 7, 8, 5])
    assert list(ranges) == [(1, 3), (5, 5), (7, 8)]
