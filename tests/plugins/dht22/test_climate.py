"""Room climate: states with their deadband, LED colours, flags and limits."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract import band_limits
from plugins.dht22.climate import (
    HIGH,
    LOW,
    NORMAL,
    Limits,
    band,
    humidity_flag,
    invalid_answer,
    light,
    most_urgent,
    next_state,
)
from plugins.shared.colors import COLORS
from tests.default_descriptions import ROOM

STATES = st.sampled_from([HIGH, LOW, NORMAL])


@pytest.mark.parametrize(
    ("temperatures_c", "states"),
    [
        ([29.9, 30.0, 29.9, 28.0, 27.9, 29.9], [NORMAL, HIGH, HIGH, HIGH, NORMAL, NORMAL]),
        ([15.1, 15.0, 15.1, 17.0, 17.1, 15.1], [NORMAL, LOW, LOW, LOW, NORMAL, NORMAL]),
        ([35.0, 10.0, 35.0], [HIGH, LOW, HIGH]),
    ],
    ids=["heat", "cold", "from one to the other"],
)
def test_a_state_is_left_two_degrees_after_it_was_entered(
    temperatures_c: list[float], states: list[str]
) -> None:
    state, found = NORMAL, []
    for temperature_c in temperatures_c:
        state = next_state(state, temperature_c)
        found.append(state)
    assert found == states


@given(STATES, st.floats(-40, 80))
def test_a_temperature_that_stays_changes_the_state_once_at_most(
    state: str, temperature_c: float
) -> None:
    settled = next_state(state, temperature_c)
    assert next_state(settled, temperature_c) == settled


@pytest.mark.parametrize(
    ("state", "temperature_c", "color"),
    [
        (HIGH, 28.5, "red"),
        (LOW, 16.5, "blue"),
        (NORMAL, 25.0, "green"),
        (NORMAL, 25.1, "orange"),
        (NORMAL, 29.9, "orange"),
    ],
)
def test_the_led_shows_the_state(state: str, temperature_c: float, color: str) -> None:
    assert light(state, temperature_c) == color
    assert color in COLORS


LIMITS = st.builds(
    Limits,
    low_c=st.integers(-10, 10),
    warm_c=st.integers(11, 20),
    high_c=st.integers(21, 40),
    dry_pct=st.integers(0, 40),
    humid_pct=st.integers(41, 90),
)


def word(field: str, value: float, limits: Limits) -> str:
    """Return the word that a page shows for a value."""
    fields = band_limits.resolved(ROOM, asdict(limits).get)
    for one in fields[field].bands:
        if one.below is not None and value < one.below:
            return one.word
        if one.below is None and (one.to is None or value <= one.to):
            return one.word
    raise AssertionError(field)


@given(LIMITS, st.integers(-10, 40), st.integers(0, 100))
def test_page_led_and_log_have_one_vocabulary(
    limits: Limits, temperature_c: float, humidity_pct: float
) -> None:
    state = next_state(NORMAL, temperature_c, limits)
    assert word("temperature", temperature_c, limits) == band(state, temperature_c, limits)
    assert word("humidity", humidity_pct, limits) == humidity_flag(humidity_pct, limits)


@pytest.mark.parametrize(
    ("humidity_pct", "flag"),
    [
        (24.9, "dry"),
        (25.0, "comfortable"),
        (70.0, "comfortable"),
        (70.1, "humid"),
    ],
)
def test_humidity_is_flagged_beyond_its_limits(humidity_pct: float, flag: str) -> None:
    assert humidity_flag(humidity_pct) == flag


@pytest.mark.parametrize("answer", [(-40.0, 0.0), (80.0, 100.0), (0.0, 0.1), (0.1, 0.0)])
def test_everything_in_the_sensors_range_is_a_measurement(answer: tuple[float, float]) -> None:
    assert invalid_answer(*answer) == ""


def test_forty_zero_bits_are_a_line_held_low_and_not_dry_frost() -> None:
    assert invalid_answer(0.0, 0.0).startswith("all bits are 0")
    assert invalid_answer(-0.0, 0.0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((-40.1, 50.0), "answered -40.1 degC, expected -40 to 80"),
        ((21.0, 100.1), "answered 100.1 %RH, expected 0 to 100"),
        ((float("nan"), 50.0), "answered nan degC"),
        ((21.0, float("nan")), "answered nan %RH"),
    ],
)
def test_what_the_sensor_cannot_measure_is_no_measurement(
    answer: tuple[float, float], reason: str
) -> None:
    assert invalid_answer(*answer).startswith(reason)


def test_one_led_shows_the_most_urgent_of_several_rooms() -> None:
    assert most_urgent(["green", "red", "orange"]) == "red"
    assert most_urgent(["red", "magenta"]) == "magenta"
