"""Notices of alarms: what is to be notified and when. Pure: `now_ms` is handed in.

At most one beginning of an alarm is told in an hour, and then its end.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import msgspec

from bus.contract.messages import Severity
from hub_app.alarms.engine import Active, Key
from hub_app.alarms.texts import number

HOUR_MS = 3_600_000
_RANKS = {severity: rank for rank, severity in enumerate(get_args(Severity))}


class Notice(msgspec.Struct, frozen=True):
    """A message for people. `key` and `since_ms` name the alarm that it is about."""

    title: str
    body: str
    severity: Severity | Literal["over"]
    key: Key = ("", "")
    since_ms: int = 0
    at_ms: int = 0


class Told(msgspec.Struct, frozen=True):
    """The last beginning of an alarm that was told; `is_sent` once a service has taken it."""

    since_ms: int
    at_ms: int
    is_sent: bool = False


class NoticePolicy:
    """Decides which alarms are told. `least` is the least severity; `told` is of an earlier run."""

    def __init__(
        self,
        least: Severity = "warning",
        told: Mapping[Key, Told] | None = None,
        page_url: str = "",
    ) -> None:
        self._least = _RANKS[least]
        self._page_url = page_url
        # What no service had taken when the hub ended is told again.
        self._told = {key: one for key, one in (told or {}).items() if one.is_sent}

    @property
    def told(self) -> dict[Key, Told]:
        return dict(self._told)

    def beginnings(
        self, active: Iterable[Active], muted: Mapping[Key, int], now_ms: int
    ) -> list[Notice]:
        """Return the notices of active alarms that are due now."""
        due = [alarm for alarm in active if self._is_due(alarm, muted, now_ms)]
        for alarm in due:
            self._told[alarm.key] = Told(alarm.since_ms, now_ms)
        return [_beginning(alarm, self._page_url, now_ms) for alarm in due]

    def end(self, alarm: Active, muted: Mapping[Key, int], now_ms: int) -> Notice | None:
        """Return the notice that an alarm is over, where its beginning was told."""
        told = self._told.get(alarm.key)
        is_muted = muted.get(alarm.key, 0) > now_ms
        if told is None or told.since_ms != alarm.since_ms or is_muted:
            return None
        return _end(alarm, self._page_url, now_ms)

    def confirm(self, notice: Notice) -> bool:
        """Note that a service has taken a notice; return whether that is news."""
        told = self._told.get(notice.key)
        if told is None or told.since_ms != notice.since_ms or told.is_sent:
            return False
        self._told[notice.key] = msgspec.structs.replace(told, is_sent=True)
        return True

    def forget(self, active: Iterable[Key], now_ms: int) -> None:
        """Forget what has no effect any more."""
        kept = set(active)
        for key in [k for k, one in self._told.items() if now_ms - one.at_ms > HOUR_MS]:
            if key not in kept:
                del self._told[key]

    def _is_due(self, alarm: Active, muted: Mapping[Key, int], now_ms: int) -> bool:
        if _RANKS[alarm.severity] < self._least or alarm.acknowledged_ms:
            return False
        if muted.get(alarm.key, 0) > now_ms:
            return False
        told = self._told.get(alarm.key)
        if told is None:
            return True
        return told.since_ms != alarm.since_ms and now_ms - told.at_ms >= HOUR_MS


def trial() -> Notice:
    """Return the notice of `harvester notify test`."""
    return Notice("HARVESTER: test", "Notifications of alarms arrive here.", "info")


def _beginning(alarm: Active, page_url: str, now_ms: int) -> Notice:
    parts = [f"{alarm.text}."]
    if alarm.value is not None:
        parts.append(f"It is {number(alarm.value)} now.")
    parts.append(f"Since {_clock(alarm.since_ms)}.")
    title = f"HARVESTER {alarm.severity}: {alarm.node}"
    return _notice(alarm, title, parts, page_url, now_ms)


def _end(alarm: Active, page_url: str, now_ms: int) -> Notice:
    minutes = max(0, now_ms - alarm.since_ms) / 60_000
    parts = [f"Over after {minutes:.0f} min: {alarm.text}."]
    if alarm.worst is not None:
        parts.append(f"Its worst value was {number(alarm.worst)}.")
    made = _notice(alarm, f"HARVESTER over: {alarm.node}", parts, page_url, now_ms)
    return msgspec.structs.replace(made, severity="over")


def _notice(alarm: Active, title: str, parts: list[str], page_url: str, now_ms: int) -> Notice:
    link = [f"{page_url.rstrip('/')}/alarms"] if page_url else []
    body = "\n".join([" ".join(parts), *link])
    return Notice(title, body, alarm.severity, alarm.key, alarm.since_ms, now_ms)


def _clock(at_ms: int) -> str:
    """Return a time by the hub's own clock and time zone."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(at_ms / 1000))
