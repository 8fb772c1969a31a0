"""Backups of either side that are restored, and sites that get another name."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from bus.files.database import set_aside
from tests.hub_app.fleet.postgres import PostgresServer, programs
from tests.hub_app.fleet.site import Site, query, reading, stored, wait_for
from tests.support import WAIT_S, wait_until

PI4 = [("pi4", "s", n) for n in range(300)]


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        yield opened


def dump(url: str, *options: str) -> bytes:
    """Return the schema and its rows as statements of SQL."""
    bin_dir = programs()
    assert bin_dir is not None
    command = [bin_dir / "pg_dump", "--schema", "harvester", "--inserts", *options, "-d", url]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=WAIT_S).stdout


def run(url: str, first: str, script: bytes) -> None:
    """Run statements in one transaction, as `psql --single-transaction` does."""
    lines = [line for line in script.splitlines() if not line.startswith(b"\\")]
    with psycopg.connect(url) as db:
        db.execute(first.encode())
        db.execute(b"\n".join(lines))


def empty_every_table(url: str) -> str:
    names = query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'harvester'")
    return f"TRUNCATE {', '.join(f'harvester.{name}' for (name,) in names)}"


def test_a_dump_that_replaces_the_tables_of_a_running_hub_is_completed(
    site: Site, tmp_path: Path, url: str
) -> None:
    with site.forwarding() as forwarder:
        site.store([reading(n) for n in range(100)])
        wait_for(url, 100)
        old = dump(url)
        site.store([reading(n) for n in range(100, 200)])
        # The numbers of these names belong to others after the dump is restored.
        site.store([reading(n, node="late", stream="late") for n in range(50)])
        wait_for(url, 250)
        run(url, "DROP SCHEMA harvester CASCADE", old)
        other = Site(tmp_path / "oslo", url, "oslo")
        with contextlib.closing(other), other.forwarding():
            other.store([reading(n, node="fjord", stream="fjord") for n in range(20)])
            site.store([reading(n) for n in range(200, 300)])
            wait_for(url, 370)
        wait_until(lambda: not forwarder.status.fault)
    assert stored(url) == [
        *(("fjord", "fjord", n) for n in range(20)),
        *(("late", "late", n) for n in range(50)),
        *PI4,
    ]
    sites = "SELECT site, node, count(*) FROM reading WHERE field = 't' GROUP BY 1, 2 ORDER BY 2"
    assert query(url, sites) == [
        *(("oslo", "fjord", 20), ("berlin", "late", 50), ("berlin", "pi4", 300)),
    ]


def test_rows_of_a_dump_that_replace_those_of_a_running_hub_are_completed(
    site: Site, url: str
) -> None:
    with site.forwarding():
        site.store([reading(n) for n in range(100)])
        wait_for(url, 100)
        old = dump(url, "--data-only")
        site.store([reading(n) for n in range(100, 200)])
        wait_for(url, 200)
        run(url, empty_every_table(url), old)
        wait_for(url, 200)
        site.store([reading(n) for n in range(200, 300)])
        wait_for(url, 300)
    assert stored(url) == PI4


def test_a_history_that_was_restored_repeats_no_reading(
    site: Site, tmp_path: Path, url: str
) -> None:
    backup = tmp_path / "backup.db"
    with site.forwarding() as forwarder:
        site.store([reading(n) for n in range(100)])
        wait_for(url, 100)
        site.db.execute("VACUUM INTO ?", (str(backup),))
        site.store([reading(n) for n in range(100, 200)])
        wait_for(url, 200)
        site.close()
        # With the files beside it, which the forwarder has mapped: whoever opens the new file would
        # truncate them, and end this process with SIGBUS.
        set_aside(site.path, "restored")
        shutil.move(backup, site.path)
        with contextlib.closing(Site(tmp_path / "berlin", url)) as restored:
            restored.store([reading(n) for n in range(200, 300)])
            wait_for(url, 300)
            wait_until(lambda: forwarder.status.waiting == 0)
    assert stored(url) == PI4


def test_a_site_with_another_name_takes_its_readings_along(site: Site, url: str) -> None:
    site.store([reading(n) for n in range(200)])
    with site.forwarding():
        wait_for(url, 200)
    rename(site, "munich")
    with site.forwarding():
        site.store([reading(n) for n in range(200, 300)])
        wait_for(url, 300)
    assert stored(url) == PI4
    assert query(url, "SELECT name FROM site") == [("munich",)]


def test_a_site_does_not_take_the_name_of_another(site: Site, tmp_path: Path, url: str) -> None:
    site.store([reading(n) for n in range(200)])
    other = Site(tmp_path / "oslo", url, "oslo")
    with contextlib.closing(other), site.forwarding(), other.forwarding() as second:
        wait_for(url, 200)
        wait_until(lambda: second.status.connected)
    rename(site, "oslo")
    with site.forwarding() as forwarder:
        wait_until(lambda: "are stored as the site 'berlin'" in forwarder.status.fault)
    assert len(stored(url)) == 200


def test_a_copy_of_a_history_that_is_forwarded_is_refused(
    site: Site, tmp_path: Path, url: str
) -> None:
    site.store([reading(n) for n in range(200)])
    with site.forwarding() as first:
        wait_for(url, 200)
        (tmp_path / "oslo").mkdir()
        site.db.execute("VACUUM INTO ?", (str(tmp_path / "oslo" / "history.db"),))
        copy = Site(tmp_path / "oslo", url, "oslo")
        with contextlib.closing(copy), copy.forwarding() as second:
            wait_until(lambda: "the same history" in second.status.fault)
        assert not first.status.fault
    assert len(stored(url)) == 200


def rename(site: Site, name: str) -> None:
    site.settings = msgspec.structs.replace(site.settings, site=name)


def test_a_dump_of_a_database_can_be_restored_to_another(
    site: Site, postgres: PostgresServer, url: str
) -> None:
    site.store([reading(n) for n in range(200)])
    with site.forwarding():
        wait_for(url, 200)
    other = postgres.new_database()
    run(other, "SELECT 1", dump(url))
    site.settings = msgspec.structs.replace(site.settings, url=other)
    with site.forwarding():
        site.store([reading(n) for n in range(200, 300)])
        wait_for(other, 300)
    assert stored(other) == PI4
