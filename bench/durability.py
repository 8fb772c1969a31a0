"""Cost of durability: bytes on the spoke's card and the hub's disk, and the time of a question.

    python -m bench.durability            all of it, in about a minute
    python -m bench.durability history    one part: card, history, queries, storm

Bytes are what the kernel says that this process caused to be written (write_bytes of
/proc/self/io); files in RAM are not in them.
"""

import argparse
import contextlib
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.storm import storm
from bus.clock import Clock, Moment
from bus.config.history_table import HistoryConfig
from bus.config.outbox_table import OutboxConfig
from bus.contract.messages import Reading, Value
from bus.outbox.outbox import Outbox, Sample
from hub_app.history.query.series import SeriesQuery, SeriesReader
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import BUCKET_MS, open_for_reading, open_history
from hub_app.history.writer import Arrival, Writer
from tests.default_readings import AIR, HEALTH, PING, ROOM

DAY_S = 86_400
CYCLE_S = 2.0
START_MS = 1_795_000_000_000
# What the shipped files have on each node: sensors, and how often each is read.
NODES: dict[str, list[tuple[str, dict[str, Value], int]]] = {
    "revpi": [("revpi-monitor", HEALTH, 1)],
    "pi4": [
        ("dht22-gpio4", ROOM, 1),
        ("bme680-0x77", AIR, 1),
        ("pi4-monitor", HEALTH, 1),
    ],
    "pizero": [
        ("bme680-0x76", AIR, 1),
        ("pizero-monitor", HEALTH, 1),
        *((f"ping-{host}", PING, 5) for host in ("revpi", "pi4")),
    ],
}


class SimulatedClock(Clock):
    """A clock that the bench moves."""

    def __init__(self) -> None:
        self.boot_id = "bench"
        self.elapsed_s = 0.0

    def now(self) -> Moment:
        return Moment(START_MS + self.ms, self.ms, is_set=True)

    @property
    def ms(self) -> int:
        return round(self.elapsed_s * 1000)


def written_bytes() -> int:
    """Return what this process caused to be written to disks so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


@contextlib.contextmanager
def folder(inside: Path | None = None) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="harvester-bench-", dir=inside))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def card(hours: float = 24.0) -> None:
    """A spoke whose hub is there: every reading is stored within 2 s."""
    clock = SimulatedClock()
    with folder(Path("/dev/shm")) as ram, folder() as disk:
        before = written_bytes()
        outbox = Outbox("pi4", OutboxConfig(), ram / "o.db", disk / "o.db", clock)
        last = -1
        for _ in range(round(hours * 3600 / CYCLE_S)):
            stamp_ms = clock.now().wall_ms
            for sensor, data, _ in NODES["pi4"]:
                outbox.add([Sample(sensor, stamp_ms, data)], sensor)
            clock.elapsed_s += CYCLE_S
            while outbox.take_live() is not None:
                last += 1
            outbox.stored(outbox.stream, [(last - 2, last)])
            outbox.tend()
        outbox.close()
        written = written_bytes() - before
    print(f"card: {written / 1e6 * 24 / hours:.3f} MB a day with the hub in reach (limit 2)")


def readings(cycle: int, rng: random.Random) -> Iterator[Reading]:
    """Yield what the three nodes measure in one cycle."""
    for node, sensors in NODES.items():
        stamp_ms = START_MS + round(cycle * CYCLE_S * 1000) + len(node)
        for number, (sensor, data, every) in enumerate(sensors):
            if cycle % every == 0:
                noisy: dict[str, Value] = {
                    name: round(value + rng.random(), 4) if isinstance(value, float) else value
                    for name, value in data.items()
                }
                seq = cycle * 10 + number
                yield Reading(
                    node, sensor, stamp_ms, "s", seq, noisy, sensor, "boot", stamp_ms - START_MS
                )


def history(hours: float = 3.0) -> None:
    """The hub with three nodes, a commit every 2 s; what is older than an hour is forgotten."""
    rng = random.Random(1)
    with folder() as disk:
        db = open_history(disk / "history.db")
        writer, housekeeping = Writer(db), Housekeeping(db, HistoryConfig(raw_days=1 / 24))
        cycles = round(hours * 3600 / CYCLE_S)
        # The first third fills it; then as much is forgotten as comes in.
        before, counted, slowest_s = 0, 0, 0.0
        for cycle in range(cycles):
            if cycle == cycles // 3 + 300:
                before, counted = written_bytes(), cycle
            now_ms = START_MS + round((cycle + 1) * CYCLE_S * 1000)
            began_s = time.perf_counter()
            writer.store([Arrival(r, False) for r in readings(cycle, rng)], [], now_ms)
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
            if cycle % 3 == 0:
                housekeeping.step(now_ms, now_ms)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        written = written_bytes() - before
        (rows,) = db.execute("SELECT count(*) FROM reading").fetchone()
        size = (disk / "history.db").stat().st_size
        db.close()
    a_day = written / ((cycles - counted) * CYCLE_S) * DAY_S
    print(
        f"history: {a_day / 1e6:.0f} MB a day for three nodes (limit 400); "
        f"{size / rows:.0f} bytes a reading, slowest commit {slowest_s * 1000:.0f} ms"
    )


def queries(days: int = 30) -> None:
    """A month of a sensor of six fields, the last day of it with its single readings."""
    rng = random.Random(2)
    with folder() as disk:
        path = disk / "history.db"
        db = open_history(path)
        writer = Writer(db)
        cycles = round(DAY_S / CYCLE_S)
        for start in range(0, cycles, 500):
            batch = range(start, min(start + 500, cycles))
            arrivals = [Arrival(r, False) for cycle in batch for r in readings(cycle, rng)]
            writer.store(arrivals, [], START_MS + round(batch.stop * CYCLE_S * 1000))
        end_ms = START_MS + DAY_S * 1000
        housekeeping = Housekeeping(db, HistoryConfig())
        while housekeeping.step(end_ms + 2 * BUCKET_MS, end_ms):
            pass
        housekeeping.step(end_ms, end_ms)
        fill_means(db, days)
        db.close()
        for name, span_days, points in (("month", days, 1000), ("day", 1, 1000)):
            query = SeriesQuery(
                "pi4", "bme680-0x77", "pressure", end_ms - span_days * DAY_S * 1000, end_ms, points
            )
            took_ms = []
            for _ in range(5):
                began_s = time.perf_counter()
                with contextlib.closing(open_for_reading(path)) as reader:
                    found = SeriesReader(reader).series(query)
                took_ms.append((time.perf_counter() - began_s) * 1000)
            print(
                f"queries: a {name} in {statistics.median(took_ms):.0f} ms, slowest "
                f"{max(took_ms):.0f} ms ({len(found.points)} points of {found.source}; limit 200)"
            )


def fill_means(db: object, days: int) -> None:
    """Repeat the means of the one day for each day before."""
    execute = db.execute  # type: ignore[attr-defined]
    for day in range(1, days):
        execute(
            "INSERT OR IGNORE INTO mean SELECT sensor, field, bucket_ms - ?, count, mean, low, high"
            " FROM mean WHERE bucket_ms >= ?",
            (day * DAY_S * 1000, START_MS - BUCKET_MS),
        )


PARTS = {"card": card, "history": history, "queries": queries, "storm": storm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="default: all")
    for part in parser.parse_args().part or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
