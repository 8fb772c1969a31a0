"""Air quality index: its formula by examples, its baseline over time and over restarts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.bme680.bands import band_of
from plugins.bme680.iaq import BASELINE_LIFE_MS, AirQuality, Quality, score

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
        (1.0, 40.0, 0, "excellent"),
        (2.0, 40.0, 0, "excellent"),
        (1.0, 30.0, 31, "excellent"),
        (1.0, 0.0, 125, "moderate"),
        (1.0, 100.0, 125, "moderate"),
        (0.92, 40.0, 30, "excellent"),
        (0.8, 50.0, 96, "good"),
        (0.5, 40.0, 188, "poor"),
        (0.5, 50.0, 208, "bad"),
        (0.1, 70.0, 400, "bad"),
        (0.0, 100.0, 500, "bad"),
        (0.0, 0.0, 500, "bad"),
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
        '{"baseline_ohm": 1e5, "tracked_s": 60, "saved_ms": 0, "heater": 320}',
        '{"baseline_ohm": 1e5, "tracked_s": 60, "saved_ms": 0, "heater": [320]}',
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


HOUR_S = 3600.0


@pytest.mark.parametrize("apart_s", [61.0, 90.0, 12 * HOUR_S])
def test_two_readings_far_apart_are_no_experience(apart_s: float) -> None:
    air = AirQuality()
    air.update(CLEAN_OHM, 40.0, 0.0)
    assert air.update(CLEAN_OHM / 10, 40.0, apart_s) == Quality(None, 0)


@pytest.mark.parametrize("gap_s", [45.0, 600.0, 12 * HOUR_S])
def test_burn_in_repeats_after_a_gap_and_the_cold_sensor_is_not_in_the_baseline(
    gap_s: float,
) -> None:
    air = AirQuality()
    assert after(air, CLEAN_OHM, until_s=700).accuracy == 2
    back_s = 700 + gap_s
    assert after(air, CLEAN_OHM / 10, from_s=back_s, until_s=back_s + 58) == Quality(None, 0)
    assert after(air, CLEAN_OHM, from_s=back_s + 60, until_s=back_s + 60) == Quality(0, 2)


def test_a_gap_adds_no_experience() -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=590)
    after(air, CLEAN_OHM, from_s=590 + HOUR_S, until_s=590 + HOUR_S + 60)
    assert json.loads(air.export(0))["tracked_s"] == 590


def test_a_gap_of_more_than_a_day_starts_anew() -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=700)
    again_s = 700 + 25 * HOUR_S
    assert after(air, 50_000.0, from_s=again_s, until_s=again_s + 60) == Quality(0, 1)


def test_a_node_that_polls_once_a_minute_gets_an_index() -> None:
    air = AirQuality()
    verdicts = [air.update(CLEAN_OHM, 40.0, 60.0 * beat) for beat in range(5)]
    assert [verdict.accuracy for verdict in verdicts] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("gas_ohm", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_resistance_changes_nothing(gas_ohm: float) -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=700)
    before = air.export(0)
    assert air.update(gas_ohm, 40.0, 702.0) == Quality(None, 0)
    assert air.export(0) == before


def test_one_outlier_hardly_moves_the_baseline() -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=700)
    air.update(12_900_000.0, 40.0, 702.0)
    assert air.update(CLEAN_OHM, 40.0, 704.0).score in (0, 1, 2, 3)


def saved(at_ms: int = NOON_MS) -> str:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=700)
    return air.export(at_ms)


@pytest.mark.parametrize("boot_ms", [0, NOON_MS - 1, NOON_MS - 86_400_000])
def test_a_baseline_waits_while_the_clock_is_behind_and_is_used_once_it_is_set(
    boot_ms: int,
) -> None:
    air = AirQuality()
    assert not air.restore(saved(), boot_ms)
    assert air.waits_for_clock
    assert air.follow_clock(boot_ms, 0.0) == ""
    assert air.update(50_000.0, 40.0, 0.0) == Quality(None, 0)
    assert "restored" in air.follow_clock(NOON_MS + 3_600_000, 2.0)
    assert air.follow_clock(NOON_MS + 3_602_000, 4.0) == ""
    assert not air.waits_for_clock
    found = air.update(50_000.0, 40.0, 2.0)
    assert (found.score, found.accuracy) == (pytest.approx(188, abs=1), 2)


def test_a_waiting_baseline_that_turns_out_too_old_is_not_used() -> None:
    air = AirQuality()
    air.restore(saved(), 0)
    assert "too old" in air.follow_clock(NOON_MS + BASELINE_LIFE_MS, 2.0)
    assert air.burning_in
    assert not air.waits_for_clock


def test_a_clock_that_goes_on_from_the_last_shutdown_and_is_set_days_later_is_noticed() -> None:
    air = AirQuality()
    assert air.restore(saved(), NOON_MS + 60_000)
    assert air.follow_clock(NOON_MS + 60_000, 5.0) == ""
    assert air.follow_clock(NOON_MS + 62_000, 7.0) == ""
    assert "too old" in air.follow_clock(NOON_MS + 3 * BASELINE_LIFE_MS, 9.0)
    assert air.burning_in


def test_a_clock_that_is_set_by_hours_keeps_a_baseline_of_today() -> None:
    air = AirQuality()
    assert air.restore(saved(), NOON_MS + 60_000)
    air.follow_clock(NOON_MS + 60_000, 5.0)
    assert air.follow_clock(NOON_MS + 3_600_000, 7.0) == ""
    assert not air.burning_in


def test_a_clock_that_is_never_set_lets_an_hour_of_experience_replace_the_saved_baseline() -> None:
    air = AirQuality()
    air.restore(saved(), 0)
    after(air, CLEAN_OHM, until_s=3600)
    assert "still not set" in air.follow_clock(3_600_000, 3600.0)
    assert not air.waits_for_clock


def test_a_burn_in_of_its_owners_choice_takes_that_long() -> None:
    air = AirQuality()
    assert air.configure(180.0, 320.0, 150.0) == ""
    assert after(air, CLEAN_OHM, until_s=178).accuracy == 0
    assert after(air, CLEAN_OHM, from_s=180, until_s=180) == Quality(0, 1)


def test_a_longer_burn_in_is_made_up_for() -> None:
    air = AirQuality()
    assert after(air, CLEAN_OHM, until_s=60).accuracy == 1
    air.configure(120.0, 320.0, 150.0)
    assert after(air, CLEAN_OHM, from_s=62, until_s=118).accuracy == 0
    assert after(air, CLEAN_OHM, from_s=120, until_s=120).accuracy == 1


def test_another_heater_starts_the_baseline_afresh() -> None:
    air = AirQuality()
    after(air, CLEAN_OHM, until_s=700)
    assert air.configure(60.0, 320.0, 150.0) == ""
    line = air.configure(60.0, 250.0, 100.0)
    assert line == "baseline: the heater is set to 250 degC, 100 ms: calibrating"
    assert after(air, 10 * CLEAN_OHM, from_s=702, until_s=760) == Quality(None, 0)
    assert after(air, 10 * CLEAN_OHM, from_s=762, until_s=762) == Quality(0, 1)


@pytest.mark.parametrize(("heater_c", "restored"), [(320.0, True), (300.0, False)])
def test_only_a_baseline_of_the_same_heater_is_used(heater_c: float, *, restored: bool) -> None:
    air = AirQuality()
    assert air.configure(60.0, heater_c, 150.0) == ""
    assert air.restore(saved(), NOON_MS) == restored


def test_a_baseline_that_waits_for_the_clock_is_dropped_with_its_heater() -> None:
    air = AirQuality()
    air.restore(saved(), 0)
    assert "the heater is set" in air.configure(60.0, 300.0, 150.0)
    assert not air.waits_for_clock


def test_a_baseline_from_before_the_heater_could_be_set_is_of_the_default_one() -> None:
    text = '{"baseline_ohm": 1e5, "tracked_s": 60, "saved_ms": 0}'
    assert AirQuality().restore(text, 1000)
