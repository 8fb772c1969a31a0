"""CPU temperature limits: LED, alarm and fan."""

import pytest

from plugins.shared.colors import COLORS
from plugins.shared.heat import HOT_C, WARM_C, HeatAlarm, fan_wanted, heat_light
from tests.default_descriptions import MONITORS


@pytest.mark.parametrize(
    ("temperature_c", "color"),
    [
        (None, "dark"),
        (20.0, "green"),
        (60.0, "green"),
        (60.1, "orange"),
        (75.0, "orange"),
        (75.1, "red"),
    ],
)
def test_the_led_shows_the_heat(temperature_c: float | None, color: str) -> None:
    assert heat_light(temperature_c) == color
    assert color in COLORS


@pytest.mark.parametrize("plugin", MONITORS)
def test_led_and_page_have_the_same_limits(plugin: str) -> None:
    bands = MONITORS[plugin]["cpu_temp"].bands
    assert [band.to for band in bands] == [WARM_C, HOT_C, None]


def test_the_alarm_sounds_once_for_one_heat() -> None:
    alarm = HeatAlarm()
    temperatures_c = [75.0, 75.1, 80.0, None, 74.0, 75.5, 73.0, 76.0]
    assert [alarm.due(t) for t in temperatures_c] == [
        *(False, True, False, False),
        *(False, False),  # around the limit: still the same heat
        *(False, True),
    ]


def test_the_fan_runs_from_60_and_stops_below_50() -> None:
    running, states = False, []
    for temperature_c in (59.9, 60.0, 50.0, 49.9, 59.9):
        running = fan_wanted(temperature_c, running=running, had_thermometer=True)
        states.append(running)
    assert states == [False, True, True, False, False]


def test_a_lost_thermometer_starts_the_fan() -> None:
    assert fan_wanted(None, running=False, had_thermometer=True)


@pytest.mark.parametrize("running", [True, False])
def test_a_machine_without_a_thermometer_keeps_its_fan_as_it_is(*, running: bool) -> None:
    assert fan_wanted(None, running=running, had_thermometer=False) == running
