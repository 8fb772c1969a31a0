"""Notices: once per alarm and hour, again at the end; acknowledged and muted ones are quiet."""

import msgspec

from hub_app.alarms.engine import Active
from hub_app.alarms.notices import HOUR_MS, Notice, NoticePolicy
from tests.hub_app.alarms.samples import NOW_MS

ALARM = Active(
    *("pi4", "too-warm--air", "too-warm", "warning", "Desk: too warm", NOW_MS),
    sensor="air",
    value=31.0,
    worst=33.0,
    limit=30.0,
)
KEY = ALARM.key


def again(minutes: float) -> Active:
    """Return the same alarm as it begins again later."""
    return msgspec.structs.replace(ALARM, since_ms=NOW_MS + round(minutes * 60_000))


def titles(notices: list[Notice]) -> list[str]:
    return [notice.title for notice in notices]


def test_a_beginning_is_told_once_with_value_and_time() -> None:
    policy = NoticePolicy(page_url="http://hub:3000/")
    (notice,) = policy.beginnings([ALARM], {}, NOW_MS)
    assert notice.title == "HARVESTER warning: pi4"
    assert notice.body.startswith("Desk: too warm. It is 31 now. Since 20")
    assert notice.body.endswith("\nhttp://hub:3000/alarms")
    assert policy.beginnings([ALARM], {}, NOW_MS + 10 * HOUR_MS) == []


def test_its_end_is_told_with_duration_and_worst_value() -> None:
    policy = NoticePolicy()
    policy.beginnings([ALARM], {}, NOW_MS)
    notice = policy.end(ALARM, {}, NOW_MS + 12 * 60_000)
    assert notice is not None
    assert (notice.title, notice.severity) == ("HARVESTER over: pi4", "over")
    assert notice.body == "Over after 12 min: Desk: too warm. Its worst value was 33."


def test_an_alarm_that_comes_and_goes_is_told_once_an_hour() -> None:
    policy = NoticePolicy()
    policy.beginnings([ALARM], {}, NOW_MS)
    soon = again(10)
    assert policy.beginnings([soon], {}, NOW_MS + 10 * 60_000) == []
    assert policy.end(soon, {}, NOW_MS + 11 * 60_000) is None
    late = again(20)
    assert policy.beginnings([late], {}, NOW_MS + HOUR_MS - 1) == []
    assert len(policy.beginnings([late], {}, NOW_MS + HOUR_MS)) == 1


def test_an_acknowledged_muted_or_slight_alarm_is_not_told() -> None:
    policy = NoticePolicy("warning")
    acknowledged = msgspec.structs.replace(ALARM, acknowledged_ms=NOW_MS)
    slight = msgspec.structs.replace(ALARM, severity="info")
    assert policy.beginnings([acknowledged, slight], {}, NOW_MS) == []
    muted = {KEY: NOW_MS + 1000}
    assert policy.beginnings([ALARM], muted, NOW_MS) == []
    # The mute is over and the alarm is not.
    assert len(policy.beginnings([ALARM], muted, NOW_MS + 1000)) == 1
    assert policy.end(ALARM, {KEY: NOW_MS + 9000}, NOW_MS + 2000) is None


def test_after_a_restart_only_what_a_service_had_taken_is_not_told_again() -> None:
    policy = NoticePolicy()
    (notice,) = policy.beginnings([ALARM], {}, NOW_MS)
    assert titles(NoticePolicy(told=policy.told).beginnings([ALARM], {}, NOW_MS)) == [notice.title]
    assert policy.confirm(notice)
    assert not policy.confirm(notice)
    assert NoticePolicy(told=policy.told).beginnings([ALARM], {}, NOW_MS) == []


def test_what_has_no_effect_any_more_is_forgotten() -> None:
    policy = NoticePolicy()
    policy.beginnings([ALARM], {}, NOW_MS)
    policy.forget([KEY], NOW_MS + 2 * HOUR_MS)
    policy.forget([], NOW_MS + HOUR_MS)
    assert set(policy.told) == {KEY}
    policy.forget([], NOW_MS + HOUR_MS + 1)
    assert policy.told == {}
