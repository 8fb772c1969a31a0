"""Air quality index (IAQ) from gas resistance and humidity: score and baseline.

Pure: times are passed in. The score runs from 0 (clean) to 500 (bad) and is

    500 * (0.75 * gas + 0.25 * humidity)

    gas       1 - resistance / baseline, clamped to 0..1: how far the resistance has fallen below
              its value in clean air; volatile compounds lower it
    humidity  distance from 40 %RH as a part of the largest possible: of 40 below, of 60 above

It compares the air with the cleanest air that this sensor has measured of late. It is not the
concentration of any substance, and not comparable with Bosch's BSEC index, whose range it uses.

The baseline follows the resistance with a time constant: in burn-in quickly, since a cold sensor
drifts for a minute; then upwards in minutes, since cleaner air than before is the new clean air;
and downwards in days, so that some hours of bad air do not become the new clean air, and ageing
does. Time in which nothing was measured is no experience: after a gap the sensor is cold, and
burn-in repeats. At another set point of its heater the sensor has another resistance, so a baseline
belongs to one set point. These constants are judgement, not measurement. Examples of the score are
a table in its tests.
"""

import json
import math
from dataclasses import dataclass
from typing import NamedTuple

GAS_WEIGHT = 0.75
HUMIDITY_WEIGHT = 0.25
WORST = 500
IDEAL_HUMIDITY_PCT = 40.0

BURN_IN_S = 60.0
# Experience that an accuracy of 2 and 3 needs; burn-in gives 1.
ACCURACY_AFTER_S = (10 * 60.0, 60 * 60.0)
BEST_ACCURACY = 3
# Set point of the heater in degC, and its duration in ms.
HEATER = (320.0, 150.0)
# A saved baseline older than this is not used.
BASELINE_LIFE_MS = 24 * 3600 * 1000

# More than this between two measurements is a gap, unless the measurements before came at that
# rate: a node may poll every 60 s. More than the second value is always a gap.
GAP_S = 30.0
LONGEST_INTERVAL_S = 120.0
_INTERVAL_JITTER = 1.5

# Time constants of the baseline, in seconds.
_BURN_IN_TAU_S = 15.0
_RISE_TAU_S = 5 * 60.0
_FALL_TAU_S = 3 * 24 * 3600.0
# One outlier moves the baseline no further than air of twice its resistance does.
_LARGEST_RISE = 2.0
# A wall clock that departs from the monotonic one by more than this was set.
_CLOCK_STEP_MS = 10_000


def score(gas_ohm: float, baseline_ohm: float, humidity_pct: float) -> int:
    """Return the index, 0 to 500, lower is better.

    >>> score(100_000, 100_000, 40.0), score(50_000, 100_000, 40.0), score(100_000, 100_000, 100.0)
    (0, 188, 125)
    """
    gas = max(0.0, 1 - gas_ohm / baseline_ohm)
    deviation = humidity_pct - IDEAL_HUMIDITY_PCT
    largest = 100 - IDEAL_HUMIDITY_PCT if deviation > 0 else IDEAL_HUMIDITY_PCT
    return round(WORST * (GAS_WEIGHT * gas + HUMIDITY_WEIGHT * abs(deviation) / largest))


@dataclass(frozen=True)
class Quality:
    """`score` is None in burn-in; `accuracy` is 0 then, and rises to 3 with experience."""

    score: int | None
    accuracy: int


class _Saved(NamedTuple):
    """A baseline as it was saved."""

    baseline_ohm: float
    tracked_s: float
    saved_ms: int
    heater: tuple[float, float]


class AirQuality:
    """Baseline of one sensor, and its experience: how long it has been tracked.

    `now_s` is a monotonic clock's, in seconds; `now_ms` is Unix time.
    """

    def __init__(self) -> None:
        self._burn_in_s = BURN_IN_S
        self._heater = HEATER
        self._baseline_ohm = 0.0
        self._tracked_s = 0.0
        # Time measured without a gap, up to the burn-in.
        self._warm_s = 0.0
        self._seen_s: float | None = None
        self._interval_s = 0.0
        # A saved baseline whose age is unknown while the clock is behind.
        self._waiting: _Saved | None = None
        # Age of the restored baseline when it was restored, and Unix minus monotonic time then.
        self._restored_age_ms: int | None = None
        self._clock_offset_ms: float | None = None

    @property
    def burning_in(self) -> bool:
        return self.accuracy == 0

    @property
    def accuracy(self) -> int:
        if self._warm_s < self._burn_in_s:
            return 0
        needed = (self._burn_in_s, *ACCURACY_AFTER_S)
        return sum(self._tracked_s >= needed_s for needed_s in needed)

    @property
    def waits_for_clock(self) -> bool:
        """Whether a saved baseline waits until the clock is set; do not overwrite it then."""
        return self._waiting is not None

    def configure(self, burn_in_s: float, heater_c: float, heater_ms: float) -> str:
        """Take the sensor's settings; return a line to log, or nothing.

        Another heater starts the baseline afresh. Call this before `restore`.
        """
        self._burn_in_s = burn_in_s
        former, self._heater = self._heater, (heater_c, heater_ms)
        if former == self._heater:
            return ""
        was_known = self._baseline_ohm > 0 or self._waiting is not None
        self._forget()
        self._waiting = self._seen_s = None
        if not was_known:
            return ""
        return f"baseline: the heater is set to {heater_c:g} degC, {heater_ms:g} ms: calibrating"

    def update(self, gas_ohm: float, humidity_pct: float, now_s: float) -> Quality:
        """Take in one measurement of gas and humidity; one that is no number changes nothing."""
        if not (0 < gas_ohm < math.inf and math.isfinite(humidity_pct)):
            return Quality(None, 0)
        self._track(gas_ohm, now_s)
        if self.burning_in:
            return Quality(None, 0)
        return Quality(score(gas_ohm, self._baseline_ohm, humidity_pct), self.accuracy)

    def _track(self, gas_ohm: float, now_s: float) -> None:
        burn_in_s = self._burn_in_s
        step_s = 0.0 if self._seen_s is None else now_s - self._seen_s
        gap = self._is_gap(step_s)
        self._seen_s, self._interval_s = now_s, step_s
        forgotten = gap and (self._tracked_s < burn_in_s or step_s * 1000 >= BASELINE_LIFE_MS)
        if self._baseline_ohm == 0.0 or forgotten:
            self._baseline_ohm, self._tracked_s = gas_ohm, 0.0
        if gap:
            self._warm_s = 0.0
            return
        was_warm = self._warm_s >= burn_in_s
        # However long the interval, one measurement is one measurement.
        step_s = min(step_s, GAP_S)
        self._warm_s = min(burn_in_s, self._warm_s + step_s)
        # The drift of a sensor that got cold in a gap is not in a baseline that is known.
        if was_warm or self._tracked_s < burn_in_s:
            self._tracked_s += step_s
            self._move_baseline(gas_ohm, step_s, _RISE_TAU_S if was_warm else _BURN_IN_TAU_S)

    def _is_gap(self, step_s: float) -> bool:
        if step_s <= GAP_S:
            return False
        return step_s > LONGEST_INTERVAL_S or step_s > self._interval_s * _INTERVAL_JITTER

    def _move_baseline(self, gas_ohm: float, step_s: float, tau_s: float) -> None:
        if tau_s == _RISE_TAU_S:
            gas_ohm = min(gas_ohm, self._baseline_ohm * _LARGEST_RISE)
            tau_s = _RISE_TAU_S if gas_ohm > self._baseline_ohm else _FALL_TAU_S
        moved = 1 - math.exp(-step_s / tau_s)
        self._baseline_ohm += (gas_ohm - self._baseline_ohm) * moved

    def export(self, now_ms: int) -> str:
        """Return the baseline, its time and its heater as JSON."""
        return json.dumps(
            {
                "baseline_ohm": self._baseline_ohm,
                "tracked_s": self._tracked_s,
                "saved_ms": now_ms,
                "heater": self._heater,
            }
        )

    def restore(self, text: str, now_ms: int) -> bool:
        """Continue with what `export` returned; return whether that was possible at once.

        A baseline saved in the future means that the clock is not set: then it waits for
        `follow_clock`. One that is older than a day, damaged or of another heater is not used.
        """
        saved = _decoded(text)
        if saved is None or saved.heater != self._heater or saved.tracked_s < self._burn_in_s:
            return False
        if saved.saved_ms > now_ms:
            self._waiting = saved
            return False
        return self._adopt(saved, now_ms)

    def follow_clock(self, now_ms: int, now_s: float) -> str:
        """Judge the saved baseline's age once the clock is set; return a line to log, or nothing.

        A clock without a battery is behind at boot, until NTP sets it. That shows in one of two
        ways: it was before the time of saving and passes that, or it steps ahead of the monotonic
        clock. Call this before each `update`.
        """
        if self._waiting is not None:
            return self._judge_waiting(self._waiting, now_ms)
        if self._restored_age_ms is None:
            return ""
        offset_ms = now_ms - now_s * 1000
        if self._clock_offset_ms is None:
            self._clock_offset_ms = offset_ms
        step_ms = offset_ms - self._clock_offset_ms
        if step_ms < _CLOCK_STEP_MS:
            return ""
        age_ms, self._restored_age_ms = self._restored_age_ms + step_ms, None
        if age_ms < BASELINE_LIFE_MS:
            return ""
        self._forget()
        return "baseline: the clock was set, and the saved one is too old: calibrating"

    def _judge_waiting(self, saved: _Saved, now_ms: int) -> str:
        if saved.saved_ms > now_ms:
            if self.accuracy < BEST_ACCURACY:
                return ""
            self._waiting = None
            return "baseline: the clock is still not set, the new one replaces the saved one"
        if self._adopt(saved, now_ms):
            return f"baseline: the clock was set, restored, accuracy {self.accuracy}"
        return "baseline: the clock was set, and the saved one is too old"

    def _adopt(self, saved: _Saved, now_ms: int) -> bool:
        self._waiting = None
        age_ms = now_ms - saved.saved_ms
        if age_ms >= BASELINE_LIFE_MS:
            return False
        self._baseline_ohm = saved.baseline_ohm
        self._tracked_s = max(self._tracked_s, saved.tracked_s)
        self._warm_s = self._burn_in_s
        self._restored_age_ms, self._clock_offset_ms = age_ms, None
        return True

    def _forget(self) -> None:
        self._baseline_ohm = self._tracked_s = self._warm_s = 0.0
        self._restored_age_ms = None


def _decoded(text: str) -> _Saved | None:
    """Return what `export` wrote, None where it is something else."""
    try:
        saved = json.loads(text)
        baseline_ohm, tracked_s = float(saved["baseline_ohm"]), float(saved["tracked_s"])
        # One that was saved before the heater could be set has none.
        heater_c, heater_ms = saved.get("heater", HEATER)
        heater = (float(heater_c), float(heater_ms))
        found = _Saved(baseline_ohm, tracked_s, int(saved["saved_ms"]), heater)
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
    fits = 0 < found.baseline_ohm < math.inf and 0 <= found.tracked_s < math.inf
    return found if fits else None
