"""The index of air quality: its formula by examples, its baseline over time and over restarts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.bme680.iaq import (
    BANDS,
    BASELINE_LIFE_MS,
    AirQuality,
    BadAirAlarm,
    Quality,
    band_of,
    score,
)
from plugins.shared.colors import COLORS

CLEAN_OHM = 100_000.0
NOON_MS = 1_700_000_000_000


def after(air: AirQuality, gas_ohm: float, *, until_s: float, from_s: float = 0.0) -> Quality:
    """Feed the same air every 2 s and return the last verdict."""
    quality = Quality(None, 0)
    for beat in range(int((until_s - from_s) / 2) + 1):
        quality = air.update(gas_ohm, 40.0, from_s + beat * 2)
    return quality


@pytest.mark.parametrize(
    ("gas_part_of_baseline", "humidity_pct", "expected", "band"),
    [
        (1.0, 40.0, 0, "good"),
        (2.0, 40.0, 0, "good"),
        (1.0, 30.0, 31, "good"),
        (1.0, 0.0, 125, "little bad"),
        (1.0, 100.0, 125, "little bad"),
        (0.92, 40.0, 30, "good"),
        (0.8, 50.0, 96, "average"),
        (0.5, 40.0, 188, "bad"),
        (0.5, 50.0, 208, "worse"),
        (0.1, 70.0, 400, "worse"),
        (0.0, 100.0, 500, "worse"),
        (0.0, 0.0, 500, "worse"),
    ],
)
def test_the_score_is_75_percent_gas_and_25_percent_humidity(
    gas_part_of_baseline: float, humidity_pct: float, expected: int, band: str
) -> None:
    found = score(gas_part_of_baseline * CLEAN_OHM, CLEAN_OHM, humidity_pct)
    assert (found, band_of(found).name) == (expected, band)


@given(
    st.floats(0, 1e8), st.floats(1, 1e8), st.floats(0, 100, allow_nan=False, allow_infinity=False)
)
def test_the_score_stays_between_0_and_500(gas: float, baseline: float, humidity: float) -> None:
    assert 0 <= score(gas, baseline, humidity) <= 500


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 100))
def test_less_resistance_is_never_better_air(one: float, other: float, humidity: float) -> None:
    low, high = sorted((one, other))
    assert score(low, CLEAN_OHM, humidity) >= score(high, CLEAN_OHM, humidity)


def test_the_bands_have_the_colours_that_the_led_shows() -> None:
    assert [(band.upper, band.color) for band in BANDS] == [
        (50, "green"),
        (100, "lime"),
        (150, "yellow"),
        (200, "orange"),
        (500, "red"),
    ]
    assert all(band.color in COLORS for band in BANDS)


@pytest.mark.parametrize(("limit", "name"), [(50, "good"), (51, "average"), (200, "bad")])
def test_a_limit_belongs_to_the_better_band(limit: int, name: str) -> None:
    assert band_of(limit).name == name


def test_burn_in_takes_60_s_however_often_it_is_polled() -> None:
    for step_s in (0.5, 2.0, 20.0):
        air = AirQuality()
        beats = [beat * step_s for beat in range(round(60 / step_s) + 1)]
        verdicts = [air.update(CLEAN_OHM, 40.0, now_s) for now_s in beats]
        assert {verdict.accuracy for verdict in verdicts[:-1]} == {0}
        assert {verdict.score for verdict in verdicts[:-1]} == {None}
        assert verdicts[-1] == Quality(0, 1)


def test_accuracy_rises_with_experience() -> None:
    air = AirQuality()
    assert after(air, CLEAN_OHM, until_s=598).accuracy == 1
    assert after(air, CLEAN_OHM, from_s=600, until_s=602).accuracy == 2
    assert after(air, CLEAN_OHM, from_s=604, until_s=3600).accuracy == 3


def test_the_drift_of_a_cold_sensor_is_not_in_the_baseline() -> None:
    air = AirQuality()
    after(air, 20_000.0, until_s=10)
    assert after(air, CLEAN_OHM, from_s=12, until_s=60).score == 0
    assert json.loads(air.export(0))["baseline_ohm"] == pytest.approx(CLEAN_OHM, rel=0.05)


def test_an_hour_of_bad_air_does_not_become_the_new_clean() -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=60)
    first = air.update(40_000.0, 40.0, 62.0).score
    last = after(air, 40_000.0, from_s=64, until_s=3664).score
    assert first is not None
    assert last is not None
    assert first == pytest.approx(225, abs=1)
    assert first - 5 < last <= first


def test_cleaner_air_than_ever_becomes_the_baseline_within_minutes() -> None:
    air = AirQuality()
    after(air, 50_000.0, until_s=60)
    after(air, CLEAN_OHM, from_s=62, until_s=62 + 20 * 60)
    found = air.update(50_000.0, 40.0, 62 + 20 * 60 + 2.0).score
    assert found == pytest.approx(184, abs=5)


def test_a_restart_within_a_day_goes_on_where_it_was() -> None:
    before = AirQuality()
    after(before, CLEAN_OHM, until_s=700)
    air = AirQuality()
    assert air.restore(before.export(NOON_MS), NOON_MS + BASELINE_LIFE_MS - 1)
    assert not air.burning_in
    assert air.update(50_000.0, 40.0, 5.0) == Quality(188, 2)


@pytest.mark.parametrize(
    ("age_ms", "restored"),
    [(0, True), (BASELINE_LIFE_MS - 1, True), (BASELINE_LIFE_MS, False), (-1, False)],
    ids=["at once", "just under a day", "a day", "a clock set back"],
)
def test_only_a_baseline_younger_than_a_day_is_used(age_ms: int, *, restored: bool) -> None:
    before = AirQuality()
    after(before, CLEAN_OHM, until_s=60)
    air = AirQuality()
    assert air.restore(before.export(NOON_MS), NOON_MS + age_ms) == restored
    assert air.burning_in != restored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"baseline_ohm": 0, "tracked_s": 60, "saved_ms": 0}',
        '{"baseline_ohm": NaN, "tracked_s": 60, "saved_ms": 0}',
        '{"baseline_ohm": 1e5, "tracked_s": 59, "saved_ms": 0}',
        '{"baseline_ohm": 1e5, "tracked_s": Infinity, "saved_ms": 0}',
        '{"baseline_ohm": 1e5, "tracked_s": 60, "saved_ms": Infinity}',
        '{"baseline_ohm": "x", "tracked_s": 60, "saved_ms": 0}',
    ],
)
def test_a_damaged_baseline_is_calibrated_anew(text: str) -> None:
    air = AirQuality()
    assert not air.restore(text, 1000)
    assert air.burning_in


@given(st.text())
def test_no_text_whatever_stops_the_plugin(text: str) -> None:
    AirQuality().restore(text, NOON_MS)


def test_the_alarm_sounds_once_on_entering_red_and_again_after_it_was_left() -> None:
    alarm = BadAirAlarm()
    scores = [150, 200, 201, 300, 199, 205, 190, 250, 250]
    assert [alarm.due(score) for score in scores] == [
        *(False, False, True, False),
        *(False, False),  # around the limit: still the same bad air
        *(False, True, False),
    ]
