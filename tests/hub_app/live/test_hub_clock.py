from hub_app.live.hub_clock import HubClock


def test_the_clock_follows_the_machines_clock_only_when_asked() -> None:
    wall_ms, monotonic_ms = 1000, 50
    clock = HubClock(lambda: wall_ms, lambda: monotonic_ms)
    monotonic_ms, wall_ms = 150, 1_000_000
    assert clock() == 1100
    assert clock.follow() == 998_900
    assert clock() == 1_000_000
    assert clock.follow() == 0


def test_small_steps_are_not_followed() -> None:
    wall_ms = 1000
    clock = HubClock(lambda: wall_ms, lambda: 0)
    wall_ms = 2900
    assert clock.follow() == 0
    assert clock() == 1000
