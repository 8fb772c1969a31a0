import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bus.clock import DAY_MS
from bus.config.history_table import FleetConfig
from hub_app.fleet.connection import connect
from hub_app.fleet.forward.database import FleetDatabase, Forwarded
from hub_app.fleet.forward.history_source import SensorName, StreamKey
from hub_app.fleet.forward.reading_rows import ReadingRows
from hub_app.fleet.migrations import make_partitions
from hub_app.fleet.page.chart_query import points, resolution_for
from hub_app.history.schema import pack
from tests.hub_app.fleet.site import Site, query, stored
from tests.support import WAIT_S, wait_until

NOW_MS = time.time_ns() // 1_000_000
HOUR_MS = 3_600_000
KEY = StreamKey("pi4", "s")
SENSOR = SensorName("pi4", "air", "air")


@pytest.fixture
def database(tmp_path: Path, url: str) -> Iterator[FleetDatabase]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as site:
        opened = FleetDatabase(site.settings)
        opened.names.add_streams([KEY])
        with contextlib.closing(opened):
            yield opened


def row(seq: int, at_ms: int, value: float = 1.0, flags: int = 0) -> Forwarded:
    return Forwarded(KEY, seq, SENSOR, at_ms, flags, ReadingRows().values(*pack({"t": value})))


def hours(url: str) -> list[tuple[object, ...]]:
    return query(url, "SELECT count, mean, low, high FROM reading_hour ORDER BY at")


def test_a_batch_that_is_sent_again_stores_nothing(database: FleetDatabase, url: str) -> None:
    rows = [row(seq, NOW_MS + seq) for seq in (1, 2, 3, 7)]
    assert database.store(rows) == 4
    assert database.store(rows) == 0
    assert database.store([*rows, row(5, NOW_MS)]) == 1
    assert [seq for _, _, seq in stored(url)] == [1, 2, 3, 5, 7]
    assert list(database.names.stored[KEY]) == [(1, 3), (5, 5), (7, 7)]
    ranges = query(url, "SELECT first, last FROM stored_range ORDER BY first")
    assert ranges == list(database.names.stored[KEY])


def test_readings_older_than_all_partitions_change_means_only(
    database: FleetDatabase, url: str
) -> None:
    old_ms = (NOW_MS - 500 * DAY_MS) // HOUR_MS * HOUR_MS
    database.store([row(1, old_ms, 10.0), row(2, NOW_MS - HOUR_MS, 20.0)])
    database.compute_means()
    assert hours(url) == [(1, 10.0, 10.0, 10.0), (1, 20.0, 20.0, 20.0)]
    database.maintain()
    assert [seq for _, _, seq in stored(url)] == [2]
    # It fills a gap after more than a year.
    assert database.store([row(3, old_ms + 1, 40.0), row(1, old_ms, 10.0)]) == 1
    database.compute_means()
    assert [seq for _, _, seq in stored(url)] == [2]
    assert hours(url)[0] == (2, 25.0, 10.0, 40.0)


def test_no_partition_is_dropped_before_its_readings_are_in_the_means(
    database: FleetDatabase, url: str
) -> None:
    old_ms = (NOW_MS - 500 * DAY_MS) // HOUR_MS * HOUR_MS
    newer_ms = old_ms + 14 * DAY_MS
    database.store([row(1, old_ms, 10.0), row(2, newer_ms, 20.0), row(3, NOW_MS + HOUR_MS)])
    database.maintain()
    assert [seq for _, _, seq in stored(url)] == [3]
    assert hours(url) == [(1, 10.0, 10.0, 10.0), (1, 20.0, 20.0, 20.0)]


def test_a_partition_waits_for_the_means_of_a_site_that_has_many_to_compute(
    database: FleetDatabase, url: str
) -> None:
    week_ms = (NOW_MS - 500 * DAY_MS) // (7 * DAY_MS) * 7 * DAY_MS
    count = 10_500
    rows = [
        Forwarded(KEY, seq, SensorName("pi4", f"air{seq % 6}", "air"), at_ms, 0, values)
        for values in [ReadingRows().values(*pack({"t": 1.0}))]
        for seq in range(count)
        for at_ms in [week_ms + seq // 6 * 300_000]
    ]
    database.store([*rows, row(count, week_ms + 7 * DAY_MS)])
    database.maintain()
    assert len(stored(url)) == count + 1
    assert query(url, "SELECT count(*) FROM mean_5min") == [(10_000,)]
    database.maintain()
    assert stored(url) == []
    assert query(url, "SELECT count(*), sum(count) FROM mean_5min") == [(count + 1, count + 1)]


def test_a_reading_with_the_time_of_a_wrong_clock_outlives_the_partition_of_that_time(
    database: FleetDatabase, url: str
) -> None:
    wrong_ms = NOW_MS - 500 * DAY_MS
    database.store([row(1, wrong_ms, 10.0, flags=2), row(2, wrong_ms, 20.0), row(3, 5000, flags=2)])
    database.maintain()
    assert query(url, "SELECT seq FROM stored_reading_other ORDER BY 1") == [(1,), (3,)]
    right_ms = NOW_MS - HOUR_MS
    assert database.redate([row(1, right_ms, 10.0, flags=1), row(3, right_ms + 1, flags=1)]) == 2
    rows = query(url, "SELECT seq, to_ms(at), v1, flags FROM stored_reading ORDER BY seq")
    assert rows == [(1, right_ms, 10.0, 1), (3, right_ms + 1, 1.0, 1)]


def test_a_reading_whose_right_time_has_expired_leaves_a_trace_in_the_means(
    database: FleetDatabase, url: str
) -> None:
    old_ms = (NOW_MS - 500 * DAY_MS) // HOUR_MS * HOUR_MS
    database.store([row(1, old_ms, 10.0)])
    database.maintain()
    database.store([row(2, 5000, 30.0, flags=2), row(3, 7000, 50.0, flags=2)])
    repaired = [row(2, old_ms + 2000, 30.0, flags=1), row(3, NOW_MS - HOUR_MS, 50.0, flags=1)]
    assert database.redate(repaired) == 2
    assert database.redate(repaired) == 0
    database.compute_means()
    assert [seq for _, _, seq in stored(url)] == [3]
    assert hours(url) == [(2, 20.0, 10.0, 30.0), (1, 50.0, 50.0, 50.0)]


def test_a_reading_that_is_stored_while_its_partition_is_dropped_is_in_the_means(
    database: FleetDatabase, url: str
) -> None:
    """The transaction that drops it waits for the one that stores, and the other way round."""
    old_ms = (NOW_MS - 500 * DAY_MS) // HOUR_MS * HOUR_MS
    database.store([row(1, old_ms, 10.0)])
    with psycopg.connect(url, options="-c search_path=harvester") as dropping:
        assert dropping.execute("SELECT drop_expired()").fetchone() == (1,)
        with ThreadPoolExecutor(1) as pool:
            storing = pool.submit(database.store, [row(2, old_ms + 1000, 30.0)])
            wait_until(
                lambda: query(
                    url,
                    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock'",
                )
            )
            dropping.commit()
            assert storing.result(WAIT_S) == 1
    database.compute_means()
    assert stored(url) == []
    assert hours(url) == [(2, 20.0, 10.0, 30.0)]


def test_times_outside_all_partitions_are_stored_and_move_to_their_own(
    database: FleetDatabase, url: str
) -> None:
    soon_ms = NOW_MS + 40 * DAY_MS
    database.store([row(1, 5000, flags=2), row(2, soon_ms), row(3, NOW_MS)])
    other = query(url, "SELECT seq FROM stored_reading_other ORDER BY seq")
    assert other == [(1,), (2,)]
    with contextlib.closing(connect(database.settings, "test")) as db:
        db.execute("SELECT make_partition('stored_reading', from_ms(%s))", (soon_ms,))
        make_partitions(db, [])
    assert query(url, "SELECT seq FROM stored_reading_other") == [(1,)]
    assert len(stored(url)) == 3


def test_a_text_may_hold_what_the_database_cannot(database: FleetDatabase, url: str) -> None:
    values = ReadingRows().values(*pack({"word": "a\x00b"}))
    database.store([Forwarded(KEY, 1, SENSOR, NOW_MS, 0, values)])
    assert query(url, "SELECT value FROM reading_text") == [("ab",)]


def test_hubs_that_start_at_once_make_tables_and_partitions_together(
    tmp_path: Path, url: str
) -> None:
    def start(number: int) -> None:
        settings = FleetConfig(url=url, site=f"site-{number}")
        with contextlib.closing(FleetDatabase(settings)) as opened:
            opened.names.add_streams([KEY])
            opened.store([row(seq, NOW_MS - seq * 30 * DAY_MS) for seq in range(6)])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(start, range(6)))
    assert len(stored(url)) == 36
    assert query(url, "SELECT count(*) FROM stored_reading_other") == [(0,)]


@pytest.mark.parametrize("ms", [0, 1, 999, 1_795_000_200_123, 253_402_300_799_999])
def test_a_time_is_the_same_after_the_way_to_the_database_and_back(
    database: FleetDatabase, url: str, ms: int
) -> None:
    ((back, text),) = query(url, "SELECT to_ms(from_ms(%s)), from_ms(%s)::text", ms, ms)
    assert back == ms
    assert text.startswith("1970-01-01 00:00:00") == (ms < 1000)


@pytest.mark.parametrize("old_ms", [HOUR_MS, 500 * DAY_MS])
def test_means_of_the_smallest_numbers_are_computed(
    database: FleetDatabase, url: str, old_ms: int
) -> None:
    """A filter that decays towards zero ends there."""
    hour_ms = (NOW_MS - old_ms) // HOUR_MS * HOUR_MS - HOUR_MS
    times = [hour_ms, hour_ms + 300_000, hour_ms + 300_001, hour_ms + 300_002]
    database.store([row(seq, at_ms, 5e-324 / (1 + seq)) for seq, at_ms in enumerate(times)])
    database.compute_means()
    assert hours(url) == [(4, 0.0, 0.0, 5e-324)]
    database.maintain()
    database.store([row(9, hour_ms, 5e-324), row(10, hour_ms + 300_000, -5e-324)])
    database.compute_means()
    assert hours(url) == [(6, 0.0, -5e-324, 5e-324)]
    times = (hour_ms, hour_ms + HOUR_MS)
    ((site, sensor, series),) = query(
        url, "SELECT site, sensor, series.id FROM series, node WHERE node.name = 'pi4'"
    )
    for step_ms in (1000, 300_000, HOUR_MS):
        resolution = resolution_for(*times, step_ms)
        with psycopg.connect(url, options="-c search_path=harvester") as db:
            found = points(db, (site, sensor), [series], times, resolution)[series]
        assert {mean for _, mean, *_ in found} <= {0.0, 5e-324}
