"""An index of air quality from gas resistance and humidity. Pure: no sensor, no clock, no store.

The score runs from 0 (clean) to 500 (bad) and is

    500 * (0.75 * gas + 0.25 * humidity)

    gas       1 - resistance / baseline, held to 0..1: how far the resistance has fallen below what
              it is in clean air; volatile compounds lower it
    humidity  distance from 40 %RH as a part of the farthest possible: of 40 below, of 60 above

It compares the air with this sensor's own cleanest air of late. It is no concentration of anything,
and not comparable with Bosch's BSEC index, whose range and bands it borrows.

The baseline follows the resistance with a time constant: in burn-in quickly, since a cold sensor
drifts for a minute; then upwards in minutes, since air cleaner than ever seen is the new clean; and
downwards in days, so that bad air of some hours does not become the new clean, and ageing does.
These constants are judgement, not measurement. Examples of the score are a table in its tests.
"""

import json
import math
from dataclasses import dataclass

GAS_WEIGHT = 0.75
HUMIDITY_WEIGHT = 0.25
WORST = 500
IDEAL_HUMIDITY_PCT = 40.0

BURN_IN_S = 60.0
# How long the baseline must have been tracked for an accuracy of 1, 2 and 3.
ACCURACY_AFTER_S = (BURN_IN_S, 10 * 60.0, 60 * 60.0)
# A saved baseline older than this is calibrated anew.
BASELINE_LIFE_MS = 24 * 3600 * 1000

# Time constants of the baseline, in seconds.
_BURN_IN_TAU_S = 15.0
_RISE_TAU_S = 5 * 60.0
_FALL_TAU_S = 3 * 24 * 3600.0


@dataclass(frozen=True)
class Band:
    """One band of the score, up to and including `upper`."""

    upper: int
    name: str
    color: str


# The bands of the LED; names after Bosch's BSEC.
BANDS = (
    Band(50, "good", "green"),
    Band(100, "average", "lime"),
    Band(150, "little bad", "yellow"),
    Band(200, "bad", "orange"),
    Band(WORST, "worse", "red"),
)


def band_of(score: int) -> Band:
    return next(band for band in BANDS if score <= band.upper)


def score(gas_ohm: float, baseline_ohm: float, humidity_pct: float) -> int:
    """Return the index, 0 to 500, lower is better.

    >>> score(100_000, 100_000, 40.0), score(50_000, 100_000, 40.0), score(100_000, 100_000, 100.0)
    (0, 188, 125)
    """
    gas = max(0.0, 1 - gas_ohm / baseline_ohm)
    deviation = humidity_pct - IDEAL_HUMIDITY_PCT
    farthest = 100 - IDEAL_HUMIDITY_PCT if deviation > 0 else IDEAL_HUMIDITY_PCT
    return round(WORST * (GAS_WEIGHT * gas + HUMIDITY_WEIGHT * abs(deviation) / farthest))


@dataclass(frozen=True)
class Quality:
    """`score` is None in burn-in; `accuracy` is 0 then, and rises to 3 with experience."""

    score: int | None
    accuracy: int


class AirQuality:
    """One sensor's baseline, and for how long it has been tracked.

    `now_s` is a monotonic clock's, in seconds; `now_ms` is Unix time.
    """

    def __init__(self) -> None:
        self._baseline_ohm = 0.0
        self._tracked_s = 0.0
        self._seen_s: float | None = None

    @property
    def burning_in(self) -> bool:
        return self.accuracy == 0

    @property
    def accuracy(self) -> int:
        return sum(self._tracked_s >= needed_s for needed_s in ACCURACY_AFTER_S)

    def update(self, gas_ohm: float, humidity_pct: float, now_s: float) -> Quality:
        """Take one valid gas measurement in."""
        self._track(gas_ohm, now_s)
        if self.burning_in:
            return Quality(None, 0)
        return Quality(score(gas_ohm, self._baseline_ohm, humidity_pct), self.accuracy)

    def _track(self, gas_ohm: float, now_s: float) -> None:
        step_s = 0.0 if self._seen_s is None else now_s - self._seen_s
        self._seen_s = now_s
        self._tracked_s += step_s
        if self._baseline_ohm == 0.0:
            self._baseline_ohm = gas_ohm
        moved = 1 - math.exp(-step_s / self._time_constant_s(gas_ohm))
        self._baseline_ohm += (gas_ohm - self._baseline_ohm) * moved

    def _time_constant_s(self, gas_ohm: float) -> float:
        if self.burning_in:
            return _BURN_IN_TAU_S
        return _RISE_TAU_S if gas_ohm > self._baseline_ohm else _FALL_TAU_S

    def export(self, now_ms: int) -> str:
        """Return the baseline and its time as JSON."""
        return json.dumps(
            {
                "baseline_ohm": self._baseline_ohm,
                "tracked_s": self._tracked_s,
                "saved_ms": now_ms,
            }
        )

    def restore(self, text: str, now_ms: int) -> bool:
        """Go on from what `export` returned; return False where it is too old, or is none."""
        try:
            saved = json.loads(text)
            baseline_ohm = float(saved["baseline_ohm"])
            tracked_s = float(saved["tracked_s"])
            age_ms = now_ms - int(saved["saved_ms"])
        except (KeyError, OverflowError, TypeError, ValueError):
            return False
        fits = 0 < baseline_ohm < math.inf and BURN_IN_S <= tracked_s < math.inf
        # A time in the future is a clock that was set back: the age is unknown.
        if not fits or not 0 <= age_ms < BASELINE_LIFE_MS:
            return False
        self._baseline_ohm, self._tracked_s, self._seen_s = baseline_ohm, tracked_s, None
        return True


# The alarm sounds again only after the score was this much below the worst band.
_ALARM_DEADBAND = 10


class BadAirAlarm:
    """Remembers whether the alarm for the present bad air has been given."""

    def __init__(self) -> None:
        self._given = False

    def due(self, score: int) -> bool:
        """Whether to sound the alarm now: once on entering the worst band."""
        limit = BANDS[-2].upper
        if score <= limit - _ALARM_DEADBAND:
            self._given = False
        if self._given or score <= limit:
            return False
        self._given = True
        return True
