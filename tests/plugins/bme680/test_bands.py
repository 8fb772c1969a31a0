"""Bands of the air quality index: one table for log, LED and page, and the alarm of the worst."""

import pytest

from plugins.bme680.air_settings import AirSettings
from plugins.bme680.bands import BANDS, DEFAULT_LIMITS, BadAirAlarm, band_of
from plugins.bme680.iaq import WORST
from plugins.shared.colors import COLORS
from tests.default_descriptions import AIR


def test_the_bands_have_the_colours_that_the_led_shows() -> None:
    assert [band.color for band in BANDS] == ["green", "lime", "yellow", "orange", "red"]
    assert all(band.color in COLORS for band in BANDS)


@pytest.mark.parametrize(
    ("score", "name"),
    [
        *((30, "excellent"), (80, "good"), (120, "moderate"), (180, "poor"), (300, "bad")),
        *((50, "excellent"), (51, "good"), (200, "poor"), (201, "bad"), (500, "bad")),
    ],
)
def test_a_limit_belongs_to_the_better_band(score: int, name: str) -> None:
    assert band_of(score).name == name


def test_limits_of_the_owners_choice_move_the_bands() -> None:
    settings = AirSettings(excellent_to=80, poor_to=180)
    scores = (80, 100, 150, 180, 181)
    assert [band_of(score, settings.band_limits).name for score in scores] == [
        *("excellent", "good", "moderate", "poor", "bad")
    ]


def test_of_limits_out_of_order_the_later_one_counts() -> None:
    limits = AirSettings(excellent_to=80, good_to=60).band_limits
    assert [band_of(score, limits).name for score in (60, 61)] == ["excellent", "moderate"]


def test_log_led_and_page_have_one_table_of_bands() -> None:
    described = AIR["iaq_score"]
    assert [band.name for band in BANDS] == [band.word for band in described.bands]
    assert (AirSettings().band_limits, described.bar) == (DEFAULT_LIMITS, WORST)


def test_the_alarm_sounds_once_on_entering_red_and_again_after_it_was_left() -> None:
    alarm = BadAirAlarm()
    scores = [150, 200, 201, 300, 199, 205, 190, 250, 250]
    assert [alarm.due(score) for score in scores] == [
        *(False, False, True, False),
        *(False, False),  # around the limit: still the same bad air
        *(False, True, False),
    ]


def test_the_alarm_follows_the_limit_of_the_worst_band() -> None:
    alarm = BadAirAlarm()
    assert [alarm.due(score, 120) for score in (120, 121, 250)] == [False, True, False]
