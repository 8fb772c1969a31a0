"""Limits of bands that follow settings: their order, and what is published where it is wrong."""

from collections.abc import Callable

import pytest

from bus.contract import band_limits
from bus.contract.description import Band, FieldDescription, Fields, SettingValue

LOW = Band(to=15, word="low", setting="low_c")
NORMAL = Band(to=25, word="normal", setting="warm_c")
WARM = Band(below=30, word="warm", setting="high_c")
HIGH = Band(word="high")
FIELDS: Fields = {
    "temperature": FieldDescription(bands=[LOW, NORMAL, WARM, HIGH]),
    "humidity": FieldDescription(bands=[Band(50, "dry"), Band(word="humid")]),
}


def of(**settings: float) -> Callable[[str], SettingValue | None]:
    return settings.get


def words(**settings: float) -> list[tuple[str, float | None, float | None]]:
    bands = band_limits.resolved(FIELDS, of(**settings))["temperature"].bands
    return [(band.word, band.to, band.below) for band in bands]


def test_a_limit_is_the_value_of_its_setting() -> None:
    assert words(low_c=10, warm_c=20.5, high_c=40) == [
        ("low", 10, None),
        ("normal", 20.5, None),
        ("warm", None, 40),
        ("high", None, None),
    ]
    assert band_limits.disorder(FIELDS, of(low_c=10, warm_c=20.5, high_c=40)) == ""


def test_without_a_value_the_default_stays() -> None:
    assert band_limits.resolved(FIELDS, of()) == FIELDS
    assert band_limits.disorder(FIELDS, of()) == ""


def test_of_limits_in_the_wrong_order_the_upper_counts() -> None:
    assert words(warm_c=32) == [("low", 15, None), ("normal", None, 30), ("high", None, None)]
    assert words(high_c=10) == [("low", None, 10), ("high", None, None)]
    assert band_limits.disorder(FIELDS, of(warm_c=32)) == (
        "bands of temperature: warm_c = 32 is above high_c = 30; the latter counts"
    )


def test_equal_limits_leave_a_band_out_and_are_no_mistake() -> None:
    assert words(warm_c=30) == [("low", 15, None), ("normal", None, 30), ("high", None, None)]
    assert band_limits.disorder(FIELDS, of(warm_c=30)) == ""


@pytest.mark.parametrize("settings", [{}, {"low_c": 99}, {"low_c": 40, "warm_c": 35, "high_c": 5}])
def test_published_limits_ascend(settings: dict[str, float]) -> None:
    limits = [below if to is None else to for _, to, below in words(**settings)]
    assert limits[-1] is None
    numbers = [limit for limit in limits if limit is not None]
    assert numbers == sorted(set(numbers))
    assert band_limits.resolved(FIELDS, of(**settings))["humidity"] == FIELDS["humidity"]
