import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hub_app.fleet.connection import connect
from hub_app.fleet.migrations import migrate, scripts
from hub_app.history.removal import rename_node
from tests.hub_app.fleet.postgres import PostgresServer
from tests.hub_app.fleet.site import START, Site, query, reading, stored, wait_for
from tests.support import wait_until


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        yield opened


def test_readings_are_in_the_database_with_their_names_and_values(site: Site, url: str) -> None:
    site.store([reading(1, data={"t": 21.5, "up": True, "word": "dry", "n": 3})])
    with site.forwarding():
        wait_for(url, 1)
    assert query(
        url, "SELECT site, node, sensor, field, to_ms(at), value FROM reading ORDER BY field"
    ) == [
        ("berlin", "pi4", "room", "n", START + 2000, 3.0),
        ("berlin", "pi4", "room", "t", START + 2000, 21.5),
        ("berlin", "pi4", "room", "up", START + 2000, 1.0),
    ]
    assert query(url, "SELECT sensor, field, value FROM reading_text") == [("room", "word", "dry")]


def test_a_reading_may_have_more_fields_than_there_are_columns(site: Site, url: str) -> None:
    data = {f"f{i:02}": i / 4 for i in range(40)}
    site.store([reading(1, data=data)])
    with site.forwarding():
        wait_for(url, 1)
    assert dict(query(url, "SELECT field, value FROM reading")) == data


def test_every_reading_is_there_once_after_many_connections(site: Site, url: str) -> None:
    for part in range(5):
        site.store([reading(n) for n in range(part * 700, part * 700 + 700)])
        with site.forwarding():
            wait_for(url, part * 700 + 700)
    assert stored(url) == [("pi4", "s", n) for n in range(3500)]
    assert query(url, "SELECT first, last FROM stored_range") == [(0, 3499)]


def test_readings_that_fill_gaps_come_later_and_once(site: Site, url: str) -> None:
    with site.forwarding():
        site.store([reading(n) for n in (5, 6, 9)])
        wait_for(url, 3)
        site.store([reading(n) for n in (1, 7, 8)])
        wait_for(url, 6)
        site.store([reading(n) for n in (0, 2, 3, 4)])
        wait_for(url, 10)
    assert stored(url) == [("pi4", "s", n) for n in range(10)]
    assert query(url, "SELECT first, last FROM stored_range") == [(0, 9)]


def test_nothing_waits_where_numbers_are_missing_for_good(site: Site, url: str) -> None:
    site.store([reading(n) for n in range(100) if n % 10])
    with site.forwarding() as forwarder:
        wait_for(url, 90)
        wait_until(lambda: forwarder.status.waiting == 0)
        site.writer.store([], [], START + 600_000)
        site.store([reading(200)])
        wait_for(url, 91)
        wait_until(lambda: forwarder.status.waiting == 0)


def test_a_redated_reading_moves_to_another_partition_and_stays_one(site: Site, url: str) -> None:
    early = [
        reading(n, 1000 * n, boot_id="b", monotonic_ms=1000 * n, clock="unset") for n in (1, 2, 3)
    ]
    site.store(early)
    with site.forwarding():
        wait_for(url, 3)
        assert {at for (at,) in query(url, "SELECT to_ms(at) FROM stored_reading")} == {
            *(1000, 2000, 3000)
        }
        site.store([reading(4, START, boot_id="b", monotonic_ms=4000)])
        site.store([])
        wait_until(lambda: not query(url, "SELECT FROM stored_reading WHERE flags & 2 <> 0"))
        wait_for(url, 4)
    assert query(url, "SELECT seq, to_ms(at), flags FROM stored_reading ORDER BY seq") == [
        *((n, START - 4000 + 1000 * n, 1) for n in (1, 2, 3)),
        (4, START, 0),
    ]


def test_a_renamed_node_keeps_its_readings_and_gets_no_second_ones(site: Site, url: str) -> None:
    site.store([reading(n) for n in range(10)])
    with site.forwarding():
        wait_for(url, 10)
        rename_node(site.db, "pi4", "garden")
        site.writer.forget_unused()
        site.store([reading(n, node="garden") for n in range(10, 12)])
        wait_for(url, 12)
    assert stored(url) == [("garden", "s", n) for n in range(12)]


def test_two_hubs_cannot_forward_as_one_site(site: Site, tmp_path: Path, url: str) -> None:
    other = Site(tmp_path / "other", url)
    with contextlib.closing(other), site.forwarding() as first:
        wait_until(lambda: first.status.connected)
        with other.forwarding() as second:
            wait_until(lambda: "another hub forwards" in second.status.fault)
    assert not first.status.fault


def test_two_sites_may_have_nodes_of_the_same_name(site: Site, tmp_path: Path, url: str) -> None:
    other = Site(tmp_path / "other", url, "oslo")
    with contextlib.closing(other), site.forwarding(), other.forwarding():
        site.store([reading(n) for n in range(100)])
        other.store([reading(n) for n in range(50)])
        wait_for(url, 150)
    counts = query(url, "SELECT site, count(*) FROM reading WHERE field = 't' GROUP BY 1")
    assert sorted(counts) == [("berlin", 100), ("oslo", 50)]


def test_a_killed_database_gets_every_reading_once(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    with contextlib.closing(Site(tmp_path / "berlin", url)) as site, site.forwarding() as forwarder:
        site.store([reading(n) for n in range(5000)])
        wait_for(url, 1000)
        postgres.kill()
        site.store([reading(n) for n in range(5000, 9000)])
        wait_until(lambda: not forwarder.status.connected)
        site.store([reading(n) for n in range(9000, 10_000)])
        wait_until(lambda: forwarder.status.waiting >= 5000)
        assert "readings wait" in forwarder.status.fault
        postgres.start()
        wait_for(url, 10_000)
        wait_until(lambda: not forwarder.status.fault)
    assert stored(url) == [("pi4", "s", n) for n in range(10_000)]


def test_means_are_computed_and_late_readings_change_them(site: Site, url: str) -> None:
    first = [reading(n, data={"t": float(n)}) for n in range(150)]
    with site.forwarding():
        site.store(first)
        wait_until(lambda: _means(url, "reading_5min") == [(150, 74.5, 0.0, 149.0)])
        site.store([reading(150, START + 1, data={"t": 225.0})])
        mean = sum([*range(150), 225]) / 151
        wait_until(lambda: _means(url, "reading_hour") == [(151, pytest.approx(mean), 0.0, 225.0)])


def _means(url: str, view: str) -> list[tuple[object, ...]]:
    try:
        return query(url, f"SELECT count, mean, low, high FROM {view} ORDER BY at")
    except psycopg.errors.UndefinedTable:
        # The forwarder has not made it yet.
        return []


def test_a_newer_schema_is_refused_and_left_alone(site: Site, url: str) -> None:
    with contextlib.closing(connect(site.settings, "test")) as db:
        assert migrate(db) == len(scripts())
        assert migrate(db) == 0
        db.execute("INSERT INTO migration VALUES (99)")
    with site.forwarding() as forwarder:
        wait_until(lambda: "version 99" in forwarder.status.fault)


def test_readings_that_move_to_another_table_unseen_are_forwarded(site: Site, url: str) -> None:
    with site.forwarding():
        # Each commit moves them: the first after a start, and those of a full table.
        for part in range(4):
            site.now_ms += 400_000
            site.store(
                [reading(n, stream=f"s{n % 7}") for n in range(part * 500, part * 500 + 500)]
            )
        wait_for(url, 2000)
    assert len(set(stored(url))) == 2000
