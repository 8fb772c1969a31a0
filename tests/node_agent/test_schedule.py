from hypothesis import given
from hypothesis import strategies as st

from node_agent.schedule import next_due

times = st.floats(0, 1e6)
intervals = st.floats(0.1, 3600)


@given(now_s=times, start_s=times, interval_s=intervals)
def test_the_next_beat_is_ahead_and_no_further_than_one_interval(
    now_s: float, start_s: float, interval_s: float
) -> None:
    wait_s = next_due(now_s, start_s, interval_s) - now_s
    assert -1e-6 * interval_s < wait_s <= interval_s * (1 + 1e-6)


def test_missed_beats_are_skipped_and_the_rate_stays() -> None:
    assert next_due(now_s=107.1, start_s=100.0, interval_s=2.0) == 108.0
