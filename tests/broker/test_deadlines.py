"""Deadlines: against a plain dict."""

from hypothesis import given
from hypothesis import strategies as st

from broker.deadlines import Deadlines

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "pop"]), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=30,
)


@given(STEPS)
def test_what_is_due_comes_once_and_in_order(steps: list[tuple[str, str, int]]) -> None:
    deadlines: Deadlines[str] = Deadlines()
    plain: dict[str, int] = {}
    for action, key, time in steps:
        if action == "set":
            deadlines.set(key, time)
            plain[key] = time
        elif action == "remove":
            deadlines.remove(key)
            plain.pop(key, None)
        else:
            found = deadlines.pop_due(time)
            due = {each: at for each, at in plain.items() if at <= time}
            assert sorted(found) == sorted(due)
            assert [due[each] for each in found] == sorted(due.values())
            plain = {each: at for each, at in plain.items() if at > time}
        assert len(deadlines) == len(plain)


def test_a_deadline_that_changes_all_the_time_needs_no_memory() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for time in range(10_000):
        deadlines.set("a", time)
    assert len(deadlines._heap) < 100
    assert deadlines.pop_due(9_998) == []
    assert deadlines.pop_due(9_999) == ["a"]
