"""The hub comes back after a long time: how fast everything arrives, and what comes first.

`python -m tests.chaos.outage --hours 1` prints the figures. The spokes are real and running; what
they took before is put into their outboxes by the outbox's own class, with a clock that is behind.
"""

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bus.clock import Clock, Moment, now_ms
from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Value
from bus.outbox.outbox import Outbox, Sample
from tests.chaos import rows
from tests.chaos.faults import AGENT, HUB, SPOKES, ZERO
from tests.chaos.play import logs
from tests.chaos.system import OUTBOX, Pace, System, Watch
from tests.chaos.truth import Key
from tests.default_readings import AIR, HEALTH, PING, ROOM

INTERVAL_S = 2.0
WITHIN_S = 60.0
# Some cycles that the spokes run without their hub.
_ALONE_S = 3.0
_START_S = 30.0
_LOOK_S = 0.2
# What a cycle brings at the default rate; the two pings come every fifth.
_OF_A_CYCLE: dict[str, dict[str, dict[str, Value]]] = {
    AGENT: {
        "dht22-gpio4": ROOM,
        "bme680-0x77": AIR,
        "pi4-monitor": HEALTH,
    },
    ZERO: {"bme680-0x76": AIR, "pizero-monitor": HEALTH},
}
_PINGS = ("ping-revpi", "ping-pi4")


class Figures(msgspec.Struct):
    """What was measured; times in s since the hub's process was started."""

    preloaded: int
    live_s: dict[str, float]
    all_s: float
    # The oldest that the newest reading of a node was, once it had been heard.
    oldest_live_s: float
    missing: int
    twice: int

    def __str__(self) -> str:
        live = ", ".join(f"{node} {at_s:.1f} s" for node, at_s in self.live_s.items())
        return (
            f"{self.preloaded} readings waited in two outboxes; {self.missing} are missing,"
            f" {self.twice} are there twice\n"
            f"the hub's first new reading came after {live}, the last old one after"
            f" {self.all_s:.1f} s\n"
            f"in between, the newest in the history was never older than {self.oldest_live_s:.1f} s"
        )


class _LateClock(Clock):
    """The machine's clocks, behind by `behind_s`."""

    behind_s = 0.0

    def now(self) -> Moment:
        moment, behind_ms = super().now(), round(self.behind_s * 1000)
        return Moment(moment.wall_ms - behind_ms, moment.monotonic_ms - behind_ms, is_set=True)


def measure(folder: Path, hours: float, give_up_s: float = WITHIN_S * 2) -> Figures:
    """Fill the outboxes, let the spokes run alone for a while, start the hub, and wait.

    After `give_up_s` what has not arrived counts as missing.
    """
    with System(
        folder, _pace(), hub_starts=False, before_start=lambda: preload(folder, hours)
    ) as system:
        expected = {row.key for row in system.waiting()}
        with Watch(system.history) as watch:
            for node in SPOKES:
                assert _runs(system, node), logs(system)
            time.sleep(_ALONE_S)
            begun_ms = now_ms()
            system.units[HUB].start()
            all_ms = _wait_for_all(system, expected, give_up_s)
            found = [row.key for row in system.stored()]
        return _figures(watch, expected, found, begun_ms, all_ms)


def preload(folder: Path, hours: float) -> None:
    """Put what was taken in the last `hours` into both outboxes."""
    cycles = round(hours * 3600 / INTERVAL_S)
    for node in SPOKES:
        clock = _LateClock()
        clock.behind_s = hours * 3600
        ram, disk = (folder / node / part / OUTBOX for part in ("run", "state"))
        outbox = Outbox(node, OutboxConfig(), ram, disk, clock)
        for cycle in range(cycles):
            clock.behind_s = (cycles - cycle) * INTERVAL_S
            outbox.add(_samples(node, cycle, clock.now().wall_ms))
            outbox.tend()
        outbox.close()


def _samples(node: str, cycle: int, wall_ms: int) -> list[Sample]:
    found = dict(_OF_A_CYCLE[node])
    if node == ZERO and cycle % 5 == 0:
        found |= dict.fromkeys(_PINGS, PING)
    return [Sample(sensor_id, wall_ms, data) for sensor_id, data in found.items()]


def _pace() -> Pace:
    """Return the pace of a system as it is shipped."""
    outbox = OutboxConfig()
    return Pace(
        interval_s=INTERVAL_S,
        live_s=outbox.live_s,
        disk_after_s=outbox.disk_after_s,
        disk_every_s=outbox.disk_every_s,
        resend_s=outbox.resend_s,
        commit_s=2.0,
    )


def _runs(system: System, node: str) -> bool:
    """Wait until a node has put a reading of its own into its outbox in RAM."""
    ram, _ = system.outboxes(node)
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if rows.of_outbox(node, ram):
            return True
        time.sleep(_LOOK_S)
    return False


def _wait_for_all(system: System, expected: set[Key], give_up_s: float) -> int:
    """Wait until all of `expected` are there, `give_up_s` at most; return the time, in ms."""
    deadline_s = time.monotonic() + give_up_s
    while expected - {row.key for row in system.stored()} and time.monotonic() < deadline_s:
        time.sleep(_LOOK_S)
    return now_ms()


def _figures(
    watch: Watch, expected: set[Key], found: list[Key], begun_ms: int, all_ms: int
) -> Figures:
    live_ms = {node: watch.came_at_ms(node, begun_ms) or math.inf for node in SPOKES}
    ages_ms = [
        at_ms - latest[node]
        for at_ms, latest in watch.seen
        for node in SPOKES
        if live_ms[node] <= at_ms <= all_ms
    ]
    return Figures(
        len(expected),
        {node: (at_ms - begun_ms) / 1000 for node, at_ms in live_ms.items()},
        (all_ms - begun_ms) / 1000,
        max(ages_ms, default=math.inf) / 1000,
        missing=len(expected - set(found)),
        twice=len(found) - len(set(found)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.outage", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long; default: 1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        figures = measure(Path(folder), options.hours)
    print(figures)  # noqa: T201 - a command line prints
    sys.exit(0 if figures.missing == 0 and figures.all_s <= WITHIN_S else 1)


if __name__ == "__main__":
    main()
