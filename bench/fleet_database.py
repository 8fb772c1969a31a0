"""Cost of the fleet's database, beside a plain table with texts and jsonb in the same run.

A history of readings of two fields is forwarded as a hub does it, in batches of 3000. The peer
gets the same readings from memory, with `executemany`. Printed are rows a second, CPU of client and
server a reading, bytes a reading with all indexes, and the time of a chart of one field over all
days: warm, and cold (the server restarted, its files dropped from the page cache).

    .venv/bin/python -m bench.fleet_database [--sensors 10] [--days 30] [--interval-s 60]
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bus.clock import DAY_MS
from bus.config.history_table import FleetConfig
from bus.contract.messages import Reading, Value
from hub_app.fleet.connection import Connection as Db
from hub_app.fleet.connection import connect
from hub_app.fleet.forward.database import FleetDatabase
from hub_app.fleet.forward.history_source import HistorySource
from hub_app.fleet.forward.reading_feed import ReadingFeed
from hub_app.fleet.page.site_queries import SiteQueries
from hub_app.history.query.series import ChartQuery
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.hub_app.fleet.postgres import PostgresServer, programs

BATCH = 3000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PEER = """
CREATE TABLE peer (
    site text, node text, sensor text, at timestamptz, stream text, seq bigint, data jsonb,
    PRIMARY KEY (node, stream, seq)
);
CREATE INDEX ON peer (sensor, at);
"""
PEER_INSERT = "INSERT INTO peer VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
PEER_CHART = """
SELECT date_bin('1 hour', at, 'epoch'), avg((data ->> 'temperature')::float8),
    min((data ->> 'temperature')::float8), max((data ->> 'temperature')::float8), count(*)
FROM peer WHERE node = 'n0' AND sensor = 's0' AND at >= %s AND at < %s GROUP BY 1 ORDER BY 1
"""


class Cost(msgspec.Struct):
    wall_s: float
    client_s: float
    server_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=10)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--interval-s", type=float, default=60)
    options = parser.parse_args()
    bin_dir = programs()
    if bin_dir is None:
        raise SystemExit("PostgreSQL 15 or later is not installed")
    server = PostgresServer(bin_dir, syncs=True)
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            run(server, Path(folder) / "history.db", options)
    finally:
        server.close()


def run(server: PostgresServer, history: Path, options: argparse.Namespace) -> None:
    to_ms = time.time_ns() // 1_000_000
    readings = list(made(options, to_ms))
    fill(history, readings, to_ms)
    count = len(readings)
    print(f"{count} readings of {options.sensors} sensors, two fields each")
    url = server.new_database()
    print(f"SQLite history: {history.stat().st_size / count:.0f} bytes a reading")

    settings = FleetConfig(url=url, site="bench")
    ours = measured(server, lambda: forward(settings, history))
    means = measured(server, lambda: compute(settings))
    peer = measured(server, lambda: insert(url, readings))
    show("fleet", ours, count)
    show("means of 5 minutes and an hour", means, count)
    show("peer", peer, count)
    show_bytes(url, count)

    from_ms = to_ms - round(options.days * DAY_MS)
    query = ChartQuery("n0", "s0", ["temperature"], from_ms, to_ms, 1000)
    span = (from_ms / 1000, to_ms / 1000)

    def chart(db: Db) -> object:
        return SiteQueries(db, 1).chart(query)

    def view(db: Db) -> object:
        statement = (
            "SELECT date_bin('1 hour', at, 'epoch'), avg(value), min(value), max(value)"
            " FROM reading WHERE site = 'bench' AND node = 'n0' AND sensor = 's0'"
            " AND field = 'temperature' AND at >= to_timestamp(%s) AND at < to_timestamp(%s)"
            " GROUP BY 1 ORDER BY 1"
        )
        return db.execute(statement, span).fetchall()

    def of_peer(db: Db) -> object:
        return db.execute(PEER_CHART.replace("%s", "to_timestamp(%s)").encode(), span).fetchall()

    for name, work in (("chart", chart), ("view reading", view), ("peer", of_peer)):
        restart_cold(server)
        with connected(url) as db:
            cold_ms, *warm_ms = (timed_ms(work, db) for _ in range(8))
        print(f"{name}: {statistics.median(warm_ms):.1f} ms warm, {cold_ms:.0f} ms cold")


def timed_ms(work: Callable[[Db], object], db: Db) -> float:
    began = time.perf_counter()
    work(db)
    return 1000 * (time.perf_counter() - began)


def made(options: argparse.Namespace, to_ms: int) -> Iterator[Reading]:
    """Yield readings in order of time, as nodes send them."""
    rounds = round(options.days * 86_400 / options.interval_s)
    for n in range(rounds):
        at_ms = to_ms - round((rounds - n) * options.interval_s * 1000)
        for sensor in range(options.sensors):
            node = f"n{sensor // 5}"
            data: dict[str, Value] = {
                "temperature": 20 + (n * 7 % 113) / 10,
                "humidity": 40 + (n * 3 % 211) / 10,
            }
            seq = 5 * n + sensor % 5
            yield Reading(node, f"s{sensor % 5}", at_ms, f"a1b2c3d4e5f6{node}", seq, data, "dht22")


def fill(path: Path, readings: list[Reading], now_ms: int) -> None:
    with contextlib.closing(open_history(path)) as db:
        writer = Writer(db)
        for start in range(0, len(readings), BATCH):
            part = readings[start : start + BATCH]
            writer.store([Arrival(each, False) for each in part], [], now_ms)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def forward(settings: FleetConfig, path: Path) -> None:
    with (
        contextlib.closing(FleetDatabase(settings)) as database,
        contextlib.closing(HistorySource(path)) as source,
    ):
        feed = ReadingFeed(source, database, monotonic_s=lambda: 0.0)
        while rows := feed.take(BATCH):
            database.store(rows)


def compute(settings: FleetConfig) -> None:
    with contextlib.closing(FleetDatabase(settings)) as database:
        while database.compute_means():
            pass


def insert(url: str, readings: list[Reading]) -> None:
    with connected(url) as db, db.cursor() as cursor:
        db.execute(PEER.encode())
        for start in range(0, len(readings), BATCH):
            with db.transaction():
                cursor.executemany(
                    PEER_INSERT.replace("%s, %s, %s, %s", "%s, %s, %s, to_timestamp(%s)", 1),
                    [
                        (
                            *("bench", each.node, each.sensor_id, each.timestamp_ms / 1000),
                            *(each.stream, each.seq, msgspec.json.encode(each.data).decode()),
                        )
                        for each in readings[start : start + BATCH]
                    ],
                )


def connected(url: str) -> Db:
    return connect(FleetConfig(url=url, site="bench"), "bench")


def measured(server: PostgresServer, work: Callable[[], None]) -> Cost:
    server_s, client_s, began = server_cpu_s(server), time.process_time(), time.perf_counter()
    work()
    wall_s, client_s = time.perf_counter() - began, time.process_time() - client_s
    # The time of a process that has ended counts once the postmaster has seen its end.
    time.sleep(2.0)
    return Cost(wall_s, client_s, server_cpu_s(server) - server_s)


def server_cpu_s(server: PostgresServer) -> float:
    """Return the CPU time of the server's processes, those that have ended included."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            # proc(5): ppid is field 4, utime to cstime are fields 14 to 17.
            if int(entry.parent.name) == server.pid:
                total += sum(map(int, fields[11:15]))
            elif int(fields[1]) == server.pid:
                total += sum(map(int, fields[11:13]))
    return total * TICK_S


def show(name: str, cost: Cost, count: int) -> None:
    print(
        f"{name}: {count / cost.wall_s:.0f} readings/s, {1e6 * cost.client_s / count:.1f} us client"
        f" + {1e6 * cost.server_s / count:.1f} us server a reading"
    )


def show_bytes(url: str, count: int) -> None:
    with connected(url) as db:
        db.execute("VACUUM ANALYZE")
        for name, pattern in (
            ("readings", "stored_reading%"),
            ("means", "mean%"),
            ("ranges", "stored_range"),
            ("peer", "peer"),
        ):
            (size,) = db.execute(
                "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
                " WHERE relkind = 'r' AND relname LIKE %s",
                (pattern,),
            ).fetchone() or (0,)
            print(f"bytes of {name}: {int(str(size)) / count:.0f} a reading")


def restart_cold(server: PostgresServer) -> None:
    server.stop()
    for path in server.folder.rglob("*"):
        if path.is_file() and not path.is_socket():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    server.start()


if __name__ == "__main__":
    main()
