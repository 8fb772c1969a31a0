"""Readings that are older than what is kept, when they arrive."""

import pytest

from bus.config.history_table import HistoryConfig
from hub_app.history.retention.old_readings import OldReadings
from tests.hub_app.history.samples import DAY, START, reading


def test_a_clock_that_is_behind_by_more_than_raw_days_is_told_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = OldReadings(HistoryConfig())
    old.note([reading(0, START - 40 * DAY), reading(1, START - 40 * DAY + 1)], START)
    assert old.sentence("pi4", START) == (
        "readings arrived that were 40 days old by the hub's clock: only their means are kept "
        "(history.raw_days is 30); is the clock of the node right?"
    )
    assert caplog.text.count("pi4: readings arrived that were 40 days old") == 1
    assert old.sentence("zero", START) == ""


def test_a_clock_that_is_behind_by_more_than_mean_days_is_told_to_lose_everything() -> None:
    old = OldReadings(HistoryConfig(mean_days=100))
    old.note([reading(0, START - 101 * DAY)], START)
    assert "nothing of them is kept (history.mean_days is 100)" in old.sentence("pi4", START)


def test_readings_of_an_outage_and_of_an_unset_clock_are_not_too_old() -> None:
    old = OldReadings(HistoryConfig())
    unset = reading(1, START - 40 * DAY, clock="unset", boot_id="b", monotonic_ms=1)
    old.note([reading(0, START - 7 * DAY), unset], START)
    assert old.sentence("pi4", START) == ""


def test_it_is_told_until_a_day_after_the_last_old_reading() -> None:
    old = OldReadings(HistoryConfig())
    old.note([reading(0, START - 40 * DAY)], START)
    assert old.sentence("pi4", START + DAY)
    assert not old.sentence("pi4", START + DAY + 1)
