"""Judgement of a new version by its services: what they store and what fails, over time. Pure.

A service that fails or ends again and again is bad at once. Otherwise, once every service is up
with its plugins loaded, the time of judgement begins: at its end, what stored readings before must
have stored some, and nothing may fail that worked before.
"""

from collections.abc import Mapping

import msgspec

from bus.install.update_record import UnitBefore
from bus.install.vital_signs import VitalSigns


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """`judged_s` is the time of judgement, `settle_s` the longest time until it may begin.

    A first start compiles plugins, which takes minutes. `away_s` is how long an absent hub is
    waited for, as a node stores nothing without it. `restarts` that a service may make.
    """

    judged_s: float = 60.0
    settle_s: float = 900.0
    away_s: float = 900.0
    restarts: int = 2


class UnitNow(msgspec.Struct, frozen=True, kw_only=True):
    """A service as systemd tells it; `vital` is None where its status line has none."""

    is_active: bool
    is_failed: bool = False
    restarts: int = 0
    vital: VitalSigns | None = None

    @property
    def has_shown_itself(self) -> bool:
        """Whether it has shown what it does: stored a reading, or tells nothing."""
        return self.vital is None or self.vital.stored > 0

    @property
    def before(self) -> UnitBefore:
        """What an update must not make worse."""
        if self.vital is None:
            # A version that tells nothing is taken for one that stores.
            return UnitBefore()
        # Plugins that are being loaded have stored nothing yet.
        stores = self.vital.stored > 0 or self.vital.loading > 0
        return UnitBefore(stores, self.vital.faults)

    @property
    def is_connected(self) -> bool:
        return self.vital is not None and self.vital.connected > 0


class Verdict(msgspec.Struct, frozen=True):
    """`reason` is empty where the new version is good."""

    reason: str = ""


class Judgement:
    """Judges from `began_s` on; `before` are the services with what they did before."""

    def __init__(self, before: Mapping[str, UnitBefore], limits: Limits, began_s: float) -> None:
        self._before, self._limits = before, limits
        self._began_s = began_s
        self._settled_s: float | None = None
        self._away_since_s: float | None = None
        self._first_restarts: dict[str, int] = {}

    def observe(
        self, now_s: float, units: Mapping[str, UnitNow], *, has_hub: bool = True
    ) -> Verdict | None:
        """Return the verdict, or None where it is too early. `has_hub`: the hub can be reached."""
        broken = self._broken(units)
        if broken:
            return Verdict(broken)
        if not has_hub:
            return self._wait_for_hub(now_s)
        self._away_since_s = None
        if not all(map(_is_settled, units.values())):
            return self._wait_until_settled(now_s, units)
        if self._settled_s is None:
            self._settled_s = now_s
        if now_s - self._settled_s < self._limits.judged_s:
            return None
        return Verdict(self._complaint(units))

    def _broken(self, units: Mapping[str, UnitNow]) -> str:
        for name, unit in units.items():
            first = self._first_restarts.setdefault(name, unit.restarts)
            restarts = unit.restarts - min(first, unit.restarts)
            if unit.is_failed:
                return f"{name} failed"
            if restarts > self._limits.restarts:
                return f"{name} ended {restarts} times"
        return ""

    def _wait_for_hub(self, now_s: float) -> Verdict | None:
        self._settled_s = None
        if self._away_since_s is None:
            self._away_since_s = now_s
        if now_s - self._away_since_s < self._limits.away_s:
            return None
        return Verdict("the hub could not be reached, so nothing could be judged")

    def _wait_until_settled(self, now_s: float, units: Mapping[str, UnitNow]) -> Verdict | None:
        self._settled_s = None
        if now_s - self._began_s < self._limits.settle_s:
            return None
        late = ", ".join(name for name, unit in units.items() if not _is_settled(unit))
        return Verdict(f"not up after {self._limits.settle_s:.0f} s: {late}")

    def _complaint(self, units: Mapping[str, UnitNow]) -> str:
        for name, unit in units.items():
            before, vital = self._before.get(name, UnitBefore()), unit.vital or VitalSigns()
            if before.stores and not vital.stored:
                return f"{name} has stored no reading in {self._limits.judged_s:.0f} s"
            if before.faults is not None and vital.faults > before.faults:
                return f"{name} has {vital.faults} faults, before it had {before.faults}"
        return ""


def _is_settled(unit: UnitNow) -> bool:
    return unit.is_active and unit.vital is not None and unit.vital.loading == 0
