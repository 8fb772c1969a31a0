"""Measurement of the coefficients: hubs under load, and a history that is forwarded."""

import argparse
import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg

from bench.fleet.__main__ import Target, hub
from bench.fleet.node import SENSORS
from bench.fleet_database import BATCH, compute, fill, server_cpu_s
from bench.scale.load import CountedPlan, Sample
from bench.scale.model import Database, Run
from bench.scale.probe import Probing
from bus.config.history_table import FleetConfig
from bus.contract.messages import Reading
from hub_app.fleet.connection import connect
from hub_app.fleet.forward.database import FleetDatabase
from hub_app.fleet.forward.history_source import HistorySource
from hub_app.fleet.forward.reading_feed import ReadingFeed
from tests.hub_app.fleet.postgres import PostgresServer, programs
from tests.support import HOST, free_port

# Steady only after so long: first descriptions, first changes of topics.
_SETTLE_S = 10.0
# Nodes that connect in a second.
_CONNECTS_PER_S = 100
# <linux/tcp.h>: tcpi_bytes_acked of struct tcp_info, the bytes that the other end has.
_BYTES_ACKED_AT = 120
_NODES = 20
# Times the interval.
_RARE = 4


def measure_hub(
    nodes: int,
    interval_s: float,
    seconds: float,
    *,
    quiet: bool = False,
    apart_s: tuple[float, float] | None = None,
) -> Run:
    """Return what a hub of its own takes under a steady load of nodes of one kind."""
    names = [f"node-{number:04}" for number in range(nodes)]
    with hub(names, stalls=False) as (target, tokens):
        connect_s = nodes / _CONNECTS_PER_S
        plan = CountedPlan(
            *(target.port, tokens, interval_s, connect_s, _SETTLE_S + seconds),
            quiet=quiet,
            apart_s=apart_s,
        )
        return _loaded(target, plan)


def _loaded(target: Target, plan: CountedPlan) -> Run:
    command = [sys.executable, "-m", "bench.scale.load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdin.write(msgspec.json.encode(plan))
        load.stdin.close()
        try:
            return _steady(target, plan, (msgspec.json.decode(s, type=Sample) for s in load.stdout))
        finally:
            load.kill()


def _steady(target: Target, plan: CountedPlan, samples: Iterator[Sample]) -> Run:
    """Return the costs between the moment at which all is steady and the last second."""
    first = next(samples)
    begin_s = first.at_s + plan.connect_s + _SETTLE_S - 1
    end_s = first.at_s + plan.connect_s + plan.seconds - 2
    begin = next(sample for sample in samples if sample.at_s >= begin_s)
    probing = Probing()
    probing.start()
    cpu_s = -target.cpu_s
    end = next(sample for sample in samples if sample.at_s >= end_s)
    cpu_s += target.cpu_s
    probe_us = probing.stop()
    passed_s = end.at_s - begin.at_s
    nodes = len(plan.tokens)
    return Run(
        nodes=nodes,
        readings_per_s=(end.created - begin.created) / passed_s,
        arrivals_per_s=(0 if plan.quiet else end.arrivals - begin.arrivals) / passed_s,
        heartbeats_per_s=nodes / plan.interval_s,
        cpu=cpu_s / passed_s,
        rss_mb=target.rss_mb,
        up_bytes_per_s=(end.sent_bytes - begin.sent_bytes) / passed_s,
        down_bytes_per_s=(end.received_bytes - begin.received_bytes) / passed_s,
        probe_us=probe_us,
    )


class _Stored(msgspec.Struct, frozen=True):
    """Costs of one history: `means` of 5 minutes were computed of `readings`."""

    readings: int
    means: int
    history_bytes: int
    forward_s: float
    forward_bytes: int
    store_s: float
    wal_bytes: int
    means_s: float
    stored_bytes: int
    means_bytes: int


def measure_database() -> Database:
    """Return the coefficients of what follows the hub's commit: disk, forwarder, PostgreSQL.

    Readings every 2 s and every 60 s tell what a reading costs, and what a mean does.
    """
    bin_dir = programs()
    if bin_dir is None:
        raise SystemExit("PostgreSQL 15 or later is not installed")
    server = PostgresServer(bin_dir, syncs=True, port=free_port())
    try:
        server.start()
        dense, sparse = _stored(server, 2.0, 1.0), _stored(server, 60.0, 24.0)
    finally:
        server.close()
    readings = dense.readings + sparse.readings
    # Two histories, two unknowns: the time of a reading that is read, of a mean that is written.
    ratio = dense.readings / sparse.readings
    mean_s = (sparse.means_s * ratio - dense.means_s) / (sparse.means * ratio - dense.means)
    of_reading_s = max(0.0, dense.means_s - mean_s * dense.means) / dense.readings
    return Database(
        history_bytes=(dense.history_bytes + sparse.history_bytes) / readings,
        forward_us=1e6 * (dense.forward_s + sparse.forward_s) / readings,
        forward_bytes=(dense.forward_bytes + sparse.forward_bytes) / readings,
        store_us=1e6 * ((dense.store_s + sparse.store_s) / readings + of_reading_s),
        mean_us=1e6 * mean_s,
        wal_bytes=(dense.wal_bytes + sparse.wal_bytes) / readings,
        stored_bytes=(dense.stored_bytes + sparse.stored_bytes) / readings,
        mean_bytes=(dense.means_bytes + sparse.means_bytes) / (dense.means + sparse.means),
    )


def _stored(server: PostgresServer, interval_s: float, hours: float) -> _Stored:
    database = server.new_database().partition("?")[0].rpartition("/")[2]
    settings = FleetConfig(
        url=f"postgresql://harvester@{HOST}:{server.port}/{database}", site="bench"
    )
    to_ms = time.time_ns() // 1_000_000
    readings = list(_made(to_ms, interval_s, hours))
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.db"
        fill(history, readings, to_ms)
        size = history.stat().st_size
        server_s, client_s = -_settled_cpu_s(server), -time.process_time()
        wal_bytes = -_written(server)
        forward_bytes = _forward(settings, history)
        wal_bytes += _written(server)
        client_s += time.process_time()
        server_s += _settled_cpu_s(server)
    means_s = -_settled_cpu_s(server)
    compute(settings)
    means_s += _settled_cpu_s(server)
    with contextlib.closing(connect(settings, "scale")) as db:
        db.execute("VACUUM ANALYZE")
        (means,) = db.execute("SELECT count(*) FROM mean_5min").fetchone() or (0,)
        stored, of_means = (_bytes(db.execute(_SIZE, (name,)).fetchone()) for name in _TABLES)
    return _Stored(
        readings=len(readings),
        means=means,
        history_bytes=size,
        forward_s=client_s,
        forward_bytes=forward_bytes,
        store_s=server_s,
        wal_bytes=wal_bytes,
        means_s=means_s,
        stored_bytes=stored,
        means_bytes=of_means,
    )


_TABLES = ("stored_reading%", "mean%")
_SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
    " WHERE relkind = 'r' AND relname LIKE %s"
)


def _written(server: PostgresServer) -> int:
    """Return the position in the server's write-ahead log."""
    with psycopg.connect(server.url()) as db:
        return _bytes(db.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone())


def _bytes(row: tuple[object, ...] | None) -> int:
    return int(str(row[0])) if row else 0


def _made(to_ms: int, interval_s: float, hours: float) -> Iterator[Reading]:
    """Yield readings of the sensors of the virtual nodes, in order of time."""
    rounds = round(hours * 3600 / interval_s)
    for n in range(rounds):
        at_ms = to_ms - round((rounds - n) * interval_s * 1000)
        for node in range(_NODES):
            for i, (sensor, data) in enumerate(SENSORS.items()):
                changed = {
                    field: value + n * 7 % 113 / 10 if type(value) is float else value
                    for field, value in data.items()
                }
                seq = n * len(SENSORS) + i
                name = f"n{node}"
                yield Reading(name, sensor, at_ms, f"a1b2c3d4{name}", seq, changed, "plugin")


def _forward(settings: FleetConfig, path: Path) -> int:
    """Forward a history as a hub does; return the bytes that went to the server."""
    with (
        contextlib.closing(FleetDatabase(settings)) as database,
        contextlib.closing(HistorySource(path)) as source,
        socket.socket(fileno=os.dup(database._db.fileno())) as end,  # noqa: SLF001
    ):
        feed = ReadingFeed(source, database, monotonic_s=lambda: 0.0)
        while rows := feed.take(BATCH):
            database.store(rows)
        found = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from("Q", found, _BYTES_ACKED_AT)[0])


def _settled_cpu_s(server: PostgresServer) -> float:
    """Return the CPU time of the server once the postmaster has seen the end of a session."""
    time.sleep(2.0)
    return server_cpu_s(server)


def measure_runs(options: argparse.Namespace) -> list[Run]:
    """Return runs of every size: of nodes whose sensors send together, and apart, and more rarely.

    The last of each size has heartbeats alone.
    """
    interval_s = options.interval
    rare_s = _RARE * interval_s
    return [
        _shown(measure_hub(nodes, between_s, options.seconds, quiet=quiet, apart_s=apart_s))
        for nodes in options.nodes
        for between_s, apart_s, quiet in (
            (interval_s, None, False),
            (interval_s, (interval_s, interval_s), False),
            (rare_s, (rare_s, rare_s), False),
            (interval_s, None, True),
        )
    ]


def _shown(run: Run) -> Run:
    print(run, flush=True)
    return run
