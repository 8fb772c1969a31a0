"""Due times of many keys."""

from hypothesis import given
from hypothesis import strategies as st

from broker.due_times import DueTimes


def test_keys_are_taken_once_when_they_are_due() -> None:
    times = DueTimes()
    for key, due_ms in (("a", 30), ("b", 10), ("c", 20)):
        times.set(key, due_ms)
    assert times.take(5) == []
    assert times.take(20) == ["b", "c"]
    assert times.take(20) == []
    assert times.take(100) == ["a"]


def test_only_the_last_time_of_a_key_counts() -> None:
    times = DueTimes()
    times.set("a", 10)
    times.set("a", 50)
    times.bring_forward("a", 70)
    assert times.take(40) == []
    times.bring_forward("a", 45)
    assert times.take(45) == ["a"]
    assert times.take(100) == []
    times.set("a", 10)
    times.forget("a")
    assert times.take(100) == []


def test_at_most_so_many_are_taken_and_the_others_later() -> None:
    times = DueTimes()
    for n in range(10):
        times.set(f"{n}", n)
    assert times.take(100, most=4) == ["0", "1", "2", "3"]
    assert len(times.take(100)) == 6


def test_a_key_whose_time_changes_all_the_time_takes_no_more_room() -> None:
    times = DueTimes()
    for n in range(100_000):
        times.set("a", 1_000_000 + n)
    times.set("b", 5)
    assert len(times._heap) < 2_000
    assert times.take(1_099_998) == ["b"]
    assert times.take(1_099_999) == ["a"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "forget", "take"]), st.sampled_from("abc"), st.integers(0, 20)
    ),
    max_size=30,
)


@given(STEPS)
def test_it_does_as_a_plain_table_and_the_earliest_come_first(
    steps: list[tuple[str, str, int]],
) -> None:
    times = DueTimes()
    table: dict[str, int] = {}
    for action, key, at_ms in steps:
        if action == "set":
            times.set(key, at_ms)
            table[key] = at_ms
        elif action == "forget":
            times.forget(key)
            table.pop(key, None)
        else:
            due = {name: due_ms for name, due_ms in table.items() if due_ms <= at_ms}
            found = times.take(at_ms)
            assert sorted(found) == sorted(due)
            assert [due[name] for name in found] == sorted(due.values())
            table = {name: due_ms for name, due_ms in table.items() if name not in due}
        assert len(times) == len(table)
