"""Databases that are set up in other ways, or cannot be written for a time; unusual values."""

import contextlib
import datetime as dt
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hub_app.fleet.forward.database import FleetDatabase
from tests.hub_app.fleet.postgres import PostgresServer
from tests.hub_app.fleet.site import START, Site, query, reading, stored, wait_for
from tests.support import wait_until


def last_sunday_of_october(year: int) -> int:
    """Return 00:30 UTC on the day on which Berlin has the hour from 2 to 3 twice."""
    last = dt.datetime(year, 10, 31, 0, 30, tzinfo=dt.UTC)
    sunday = last - dt.timedelta(days=(last.weekday() + 1) % 7)
    return int(sunday.timestamp()) * 1000


# The last one, as the database keeps readings for 400 days.
_YEAR = dt.datetime.fromtimestamp(START / 1000, dt.UTC).year
CLOCKS_GO_BACK = max(
    at_ms for at_ms in map(last_sunday_of_october, (_YEAR, _YEAR - 1)) if at_ms < START
)
BIG = 2**53


@pytest.fixture
def site(tmp_path: Path, url: str) -> Iterator[Site]:
    with contextlib.closing(Site(tmp_path / "berlin", url)) as opened:
        yield opened


def name_of(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def end_sessions(url: str) -> None:
    query(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'harvester hub berlin'",
    )


def test_settings_of_the_database_change_nothing(site: Site, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        for setting in (
            *("timezone = 'Europe/Berlin'", "datestyle = 'German, DMY'"),
            *("client_encoding = 'LATIN1'", "extra_float_digits = -5"),
            *("default_transaction_isolation = 'repeatable read'", "search_path = 'public'"),
            *("intervalstyle = 'sql_standard'", "standard_conforming_strings = off"),
        ):
            db.execute(f"ALTER DATABASE {name_of(url)} SET {setting}".encode())
    data = {"t": 1 / 3, "word": "20 °C \\ 5 Ω"}
    site.store([reading(n, CLOCKS_GO_BACK + n * 60_000, data=data) for n in range(180)])
    with site.forwarding():
        wait_for(url, 180)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"ALTER DATABASE {name_of(url)} RESET ALL".encode())
        wait_until(lambda: query(url, "SELECT count(*) FROM reading_hour") == [(4,)])
    rows = query(url, "SELECT seq, to_ms(at), v1, texts[1] FROM stored_reading ORDER BY seq")
    assert rows == [(n, CLOCKS_GO_BACK + n * 60_000, 1 / 3, data["word"]) for n in range(180)]
    assert query(url, "SELECT count FROM reading_hour ORDER BY at") == [(30,), (60,), (60,), (30,)]


def test_an_encoding_that_has_not_every_character_is_refused(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
        db.execute("CREATE DATABASE ascii ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'")
    latin = Site(tmp_path / "latin", postgres.url("latin"))
    with contextlib.closing(latin), latin.forwarding() as forwarder:
        wait_until(lambda: "--encoding UTF8" in forwarder.status.fault)
    # It stores the bytes that come.
    with contextlib.closing(Site(tmp_path / "ascii", postgres.url("ascii"))) as site:
        site.store([reading(1, data={"word": "5 Ω"})])
        with site.forwarding():
            wait_for(postgres.url("ascii"), 1)


def test_a_database_that_only_reads_is_named_and_waited_for(
    site: Site, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.store([reading(n) for n in range(100)])
    with site.forwarding() as forwarder:
        wait_for(url, 100)
        alter = f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only ="
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"{alter} on".encode())
            end_sessions(url)
            site.store([reading(n) for n in range(100, 200)])
            wait_until(lambda: "read-only transaction" in forwarder.status.fault)
            wait_until(lambda: "100 readings wait" in forwarder.status.fault)
            db.execute("SET default_transaction_read_only = off")
            db.execute(f"{alter} off".encode())
        wait_for(url, 200)
        wait_until(lambda: not forwarder.status.fault)
    assert stored(url) == [("pi4", "s", n) for n in range(200)]
    # The log has the reason, too, though the fault began with the end of the session.
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert sum("read-only transaction" in line for line in said) == 1


def test_partitions_that_somebody_dropped_are_made_again(site: Site, url: str) -> None:
    early = [reading(n, 1000 + n, stream="early", clock="unset") for n in range(20)]
    with site.forwarding():
        site.store([*(reading(n) for n in range(100)), *early[:10]])
        wait_for(url, 110)
        partitions = query(
            url,
            "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid"
            " WHERE inhparent = 'stored_reading'::regclass",
        )
        with psycopg.connect(url) as db:
            for (partition,) in partitions:
                db.execute(f"DROP TABLE harvester.{partition}".encode())
        site.store([*(reading(n) for n in range(100, 200)), *early[10:]])
        wait_for(url, 110)
    assert [seq for _, _, seq in stored(url)] == [*range(10, 20), *range(100, 200)]


def test_every_value_that_a_node_may_send_is_stored(site: Site, url: str) -> None:
    draw = random.Random(1)

    def wild() -> str:
        return "".join(chr(draw.randrange(0x10000, 0x110000)) for _ in range(64))

    values = (BIG, -BIG, 5e-324, -0.0, 0, True, False, "x" * 256, "\\N", "\t\n\\.", "a\0b", "NULL")
    many = {f"v{i}": value for i, value in enumerate(values)}
    # Far more than an entry of an index may have.
    numbers, texts = {wild(): float(i) for i in range(64)}, {wild(): wild() for _ in range(64)}
    quoted = {'a"b\\{},': 1.0, "NULL": 2.0}
    site.store(
        [
            *(reading(n, data={"t": value}) for n, value in enumerate(values)),
            *(reading(100, data=many), reading(101, data=numbers), reading(102, data=texts)),
            *(reading(103, data=quoted), reading(104, data={}), reading(BIG, START)),
            *(reading(105, 0), reading(106, 7_258_118_400_000)),
        ]
    )
    with site.forwarding() as forwarder:
        wait_for(url, len(values) + 8)
        wait_until(lambda: forwarder.status.waiting == 0)
    found = dict(query(url, "SELECT field, value FROM reading WHERE char_length(field) = 64"))
    assert found == numbers
    rows = query(url, "SELECT field, value FROM reading_text WHERE field NOT IN ('t', 'word')")
    strings = {name: value for name, value in many.items() if isinstance(value, str)}
    assert dict(rows) == strings | texts | {"v10": "ab"}
    rows = query(url, "SELECT value FROM reading WHERE field = 't' AND sensor = 'room'")
    assert {BIG, -BIG, 5e-324, 0, 1} <= {value for (value,) in rows}


def test_two_sites_add_thousands_of_shapes_side_by_side(
    site: Site, tmp_path: Path, url: str
) -> None:
    """Each field of a sensor is a number, a boolean or a text from one reading to the next."""
    drawn = [
        [(float(n), n % 2 == 0, f"w{n}")[n // 3**i % 3] for i in range(7)] for n in range(3**7)
    ]
    orders = {"berlin": drawn, "paris": drawn[::-1]}
    with contextlib.closing(Site(tmp_path / "paris", url, "paris")) as other:
        for each, order in zip((site, other), orders.values(), strict=True):
            names = [f"f{i}" for i in range(7)]
            each.store(
                [
                    reading(n, data=dict(zip(names, values, strict=True)))
                    for n, values in enumerate(order)
                ]
            )
        with site.forwarding(), other.forwarding():
            wait_for(url, 2 * len(drawn))
    assert query(url, "SELECT count(*) FROM shape") == [(len(drawn),)]
    given = {
        (place, START + n * 2000, f"f{i}", value if isinstance(value, str) else float(value))
        for place, order in orders.items()
        for n, values in enumerate(order)
        for i, value in enumerate(values)
    }
    columns = "site, to_ms(at), field, value"
    numbers = query(url, f"SELECT {columns} FROM reading")
    texts = query(url, f"SELECT {columns} FROM reading_text")
    assert len(numbers) + len(texts) == len(given)
    assert {*numbers, *texts} == given


def test_an_error_that_nobody_expected_is_shown(
    site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.store([reading(1)])

    def fail(*_: object) -> None:
        raise ZeroDivisionError("unexpected")

    with monkeypatch.context() as patched, site.forwarding() as forwarder:
        patched.setattr(FleetDatabase, "store", fail)
        wait_until(lambda: "ZeroDivisionError('unexpected')" in forwarder.status.fault)
        patched.undo()
        wait_for(url, 1)
        wait_until(lambda: not forwarder.status.fault)
