"""Coverage and gaps from the fleet's database are those of the hub's own history."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_app.fleet.connection import connect
from hub_app.fleet.page.site_queries import SiteQueries
from hub_app.history.coverage.query import UnknownNodeError, coverage_of
from hub_app.history.events import PLUGIN, PRESENCE, Event
from hub_app.history.query.gaps import gaps_of
from hub_app.history.query.series import ChartQuery
from hub_app.history.schema import open_for_reading
from tests.hub_app.fleet.site import START, Site, query, reading, wait_for
from tests.support import wait_until

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    """A site with a node that was off for half an hour, and whose plugin failed for another."""
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        times = [START + n * MINUTE_MS for n in range(600)]
        kept = [at for at in times if not is_off(at) and not has_failed(at)]
        opened.store(
            [
                # Each run of a node's program has a stream of its own.
                reading(n, at, data={"t": float(n)}, stream="s" if at < START + HOUR_MS else "s2")
                for n, at in enumerate(kept)
            ],
            events=[
                Event("pi4", START, PRESENCE, f"b {START}", "online"),
                Event("pi4", START + HOUR_MS, PRESENCE, "b", "offline"),
                Event(
                    "pi4", START + 90 * MINUTE_MS, PRESENCE, f"c {START + 90 * MINUTE_MS}", "online"
                ),
                Event("pi4", START + 3 * HOUR_MS, PLUGIN, "p", "failed: no answer"),
                Event("pi4", START + 210 * MINUTE_MS, PLUGIN, "p", "running"),
            ],
        )
        # From the table of the newest to the other one.
        opened.now_ms += HOUR_MS
        opened.store([])
        with opened.forwarding():
            wait_for(url, len(kept))
            wait_until(lambda: len(query(url, "SELECT FROM event")) == 5)
            wait_until(lambda: not query(url, "SELECT FROM pending_mean"))
        yield opened


def is_off(at_ms: int) -> bool:
    return START + HOUR_MS <= at_ms < START + 90 * MINUTE_MS


def has_failed(at_ms: int) -> bool:
    return START + 3 * HOUR_MS <= at_ms < START + 210 * MINUTE_MS


@pytest.mark.parametrize(
    "times", [(START, START + 10 * HOUR_MS), (START + 7 * MINUTE_MS, START + HOUR_MS)]
)
def test_coverage_is_that_of_the_hub(site: Site, times: tuple[int, int]) -> None:
    with (
        contextlib.closing(connect(site.settings, "test")) as db,
        contextlib.closing(open_for_reading(site.path)) as history,
    ):
        found = SiteQueries(db, 1).coverage("pi4", times, NOW_MS)
        expected = coverage_of(history, "pi4", *times, NOW_MS)
    assert found == expected


def test_coverage_names_reasons(site: Site) -> None:
    with contextlib.closing(connect(site.settings, "test")) as db:
        found = SiteQueries(db, 1).coverage("pi4", (START, START + 10 * HOUR_MS), NOW_MS)
        with pytest.raises(UnknownNodeError):
            SiteQueries(db, 1).coverage("nobody", (START, START + HOUR_MS), NOW_MS)
    (sensor,) = found.sensors
    assert sensor.counts == {"there": 540, "off": 30, "failed": 30}


@pytest.mark.parametrize("before_ms", [0, 20 * 24 * HOUR_MS])
def test_gaps_are_those_of_the_hub(site: Site, before_ms: int) -> None:
    times = (START - before_ms, START + 10 * HOUR_MS)
    with (
        contextlib.closing(connect(site.settings, "test")) as db,
        contextlib.closing(open_for_reading(site.path)) as history,
    ):
        found = SiteQueries(db, 1).gaps(ChartQuery("pi4", "room", [], *times, 1000), NOW_MS)
        expected = gaps_of(history, "pi4", "room", times, NOW_MS)
    assert found == expected
    assert [gap[2] for gap in found.gaps] == ["off", "failed"]
