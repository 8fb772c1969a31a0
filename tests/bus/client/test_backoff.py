from bus.client.backoff import FIRST_S, LAST_S, Backoff, reconnect_backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 300.0)
    waits_s = [backoff.next_s() for _ in range(11)]
    assert waits_s == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_after_a_reset_the_waits_begin_again() -> None:
    backoff = Backoff(1.0, 300.0)
    for _ in range(3):
        backoff.next_s()
    backoff.reset()
    assert [backoff.next_s(), backoff.next_s()] == [1.0, 2.0]


def test_a_steady_run_counts_as_a_success_and_a_shorter_one_does_not() -> None:
    backoff = Backoff(1.0, 300.0, steady_s=60.0)
    assert [backoff.next_s(lasted_s=59.9), backoff.next_s(lasted_s=59.9)] == [1.0, 2.0]
    assert backoff.next_s(lasted_s=60.0) == 1.0


def test_thousands_of_failures_are_no_overflow() -> None:
    backoff = Backoff(0.5, 60.0)
    assert max(backoff.next_s() for _ in range(5000)) == 60.0


def test_attempts_are_spread_over_a_time_that_doubles_up_to_half_a_minute() -> None:
    bounds: list[float] = []

    def draw(_low: float, high: float) -> float:
        bounds.append(high)
        return high / 2

    backoff = reconnect_backoff(draw)
    assert [backoff.next_s() for _ in range(2)] == [bounds[0] / 2, bounds[1] / 2]
    for _ in range(50):
        backoff.next_s(lasted_s=2.0)
    assert bounds == sorted(bounds)
    assert backoff.next_s(lasted_s=3600.0) == bounds[0] / 2


def test_the_bounds_are_a_second_and_half_a_minute() -> None:
    bounds: list[float] = []
    backoff = reconnect_backoff(lambda _low, high: bounds.append(high) or high)
    for _ in range(20):
        backoff.next_s()
    assert (bounds[0], bounds[-1]) == (FIRST_S, LAST_S) == (1.0, 30.0)
