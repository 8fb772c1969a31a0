import queue
import time

import pytest

from bus.contract.commands import PATTERNS, Pattern
from bus.contract.messages import Buzzer
from bus.errors import UnavailableError
from node_agent.actuators import buzzer
from node_agent.actuators.buzzer import SILENT, BuzzerPlayer

WAIT_S = 60.0


class Bench:
    """A player with its relay's changes and its states as queues."""

    def __init__(self, longest_on_ms: int = 10_000) -> None:
        self.relay: queue.Queue[tuple[float, bool]] = queue.Queue()
        self.states: queue.Queue[Buzzer] = queue.Queue()
        self.player = BuzzerPlayer(self._set_relay, self.states.put, longest_on_ms)

    def _set_relay(self, on: bool) -> None:
        self.relay.put((time.monotonic(), on))

    def until_silent(self) -> list[bool]:
        while self.states.get(timeout=WAIT_S) != SILENT:
            pass
        return [on for _, on in list(self.relay.queue)]


def test_three_beeps_close_the_relay_three_times() -> None:
    bench = Bench()
    with bench.player:
        bench.player.play(Pattern(3, 10, 10), "beep3")
        changes = bench.until_silent()
    assert changes.count(True) == 3
    assert changes[-1] is False


def test_the_state_names_the_pattern_while_it_sounds() -> None:
    bench = Bench()
    with bench.player:
        bench.player.play(Pattern(1, 10, 0), "beep")
        assert bench.states.get(timeout=WAIT_S) == Buzzer(sounding=True, pattern="beep")
        assert bench.states.get(timeout=WAIT_S) == SILENT


def test_off_ends_a_pattern_at_once() -> None:
    bench = Bench(longest_on_ms=3_600_000)
    with bench.player:
        # An hour: only `off` can end it while this test waits.
        bench.player.play(Pattern(1, 3_600_000, 0), "long")
        _, on = bench.relay.get(timeout=WAIT_S)
        assert on
        bench.player.play(PATTERNS["off"], "off")
        _, still_on = bench.relay.get(timeout=WAIT_S)
    assert not still_on


def test_a_new_pattern_replaces_the_running_one() -> None:
    bench = Bench()
    with bench.player:
        bench.player.play(Pattern(20, 5_000, 10), "endless")
        assert bench.states.get(timeout=WAIT_S).pattern == "endless"
        bench.player.play(Pattern(1, 10, 0), "beep")
        assert bench.states.get(timeout=WAIT_S).pattern == "beep"
        assert bench.states.get(timeout=WAIT_S) == SILENT


def test_a_lost_off_never_leaves_it_on() -> None:
    bench = Bench(longest_on_ms=100)
    with bench.player:
        # An hour: only the limit can end it while this test waits.
        bench.player.play(Pattern(1, 3_600_000, 0), "long")
        bench.relay.get(timeout=WAIT_S)
        _, on = bench.relay.get(timeout=WAIT_S)
    assert not on


def test_stopping_releases_the_relay() -> None:
    bench = Bench()
    with bench.player:
        bench.player.play(Pattern(1, 5_000, 0), "long")
        bench.relay.get(timeout=WAIT_S)
    assert bench.relay.get(timeout=WAIT_S)[1] is False


def test_a_relay_that_fails_does_not_end_the_player() -> None:
    calls: queue.Queue[bool] = queue.Queue()

    def fail(on: bool) -> None:
        calls.put(on)
        raise UnavailableError("no relay")

    states: queue.Queue[Buzzer] = queue.Queue()
    with BuzzerPlayer(fail, states.put, 1000) as player:
        for _ in range(2):
            player.play(Pattern(1, 10, 0), "beep")
            assert calls.get(timeout=WAIT_S)
            while states.get(timeout=WAIT_S) != SILENT:
                pass
            while not calls.empty():
                calls.get()


def names(bench: Bench) -> list[str]:
    """Return the patterns that sounded until the buzzer was silent."""
    found: list[str] = []
    while (state := bench.states.get(timeout=WAIT_S)) != SILENT:
        found.append(state.pattern)
    return found


def test_two_alarms_in_one_cycle_are_both_heard() -> None:
    bench = Bench()
    # Both wait before the first sounds, however late this thread gets its turn.
    bench.player.enqueue(Pattern(3, 10, 10), "dht22")
    bench.player.enqueue(Pattern(2, 10, 10), "pi4-monitor")
    with bench.player:
        assert names(bench) == ["dht22", "pi4-monitor"]
        assert [on for _, on in list(bench.relay.queue)].count(True) == 5


def test_off_ends_the_alarm_that_sounds_and_those_that_wait() -> None:
    bench = Bench()
    with bench.player:
        for name in ("dht22", "bme680", "pi4-monitor"):
            bench.player.enqueue(Pattern(1, 5_000, 0), name)
        bench.relay.get(timeout=WAIT_S)
        bench.player.play(PATTERNS["off"], "off")
        assert names(bench) == ["dht22"]
        bench.player.enqueue(Pattern(1, 10, 0), "bme680")
        assert names(bench) == ["bme680"]


def test_a_persons_pattern_sounds_at_once_and_waiting_alarms_after_it() -> None:
    bench = Bench()
    with bench.player:
        bench.player.enqueue(Pattern(1, 5_000, 0), "dht22")
        bench.relay.get(timeout=WAIT_S)
        bench.player.enqueue(Pattern(1, 10, 0), "pi4-monitor")
        bench.player.play(Pattern(1, 10, 0), "beep")
        assert names(bench) == ["dht22", "beep", "pi4-monitor"]


def test_a_plugin_that_sounds_in_every_poll_does_not_keep_out_another() -> None:
    bench = Bench()
    for _ in range(50):
        bench.player.enqueue(Pattern(1, 10, 0), "noisy")
    bench.player.enqueue(Pattern(1, 10, 0), "dht22")
    with bench.player:
        heard = names(bench)
    assert heard[-1] == "dht22"
    assert len([on for _, on in list(bench.relay.queue) if on]) <= 4


def test_an_endless_alarm_gives_way_to_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buzzer, "ALARM_SHARE_S", 0.05)
    bench = Bench()
    with bench.player:
        bench.player.enqueue(Pattern(255, 5_000, 0), "noisy")
        bench.player.enqueue(Pattern(1, 10, 0), "dht22")
        assert names(bench) == ["noisy", "dht22"]
