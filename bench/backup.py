"""Backup of a hub with a large history under load, and the longest time between two commits.

Prints the same of a time without a backup first. Run from the project's folder:

    python -m bench.backup [MB of history, 1000 by default]
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import msgspec

from bench.virtual_nodes import SENSORS, VirtualNode, WholeHub, whole_hub
from bus.config.limits_table import LimitsConfig
from bus.contract.messages import Reading, Value
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.support import settings

NODES = 10
READINGS_PER_S = 600
COMMIT_S = 0.5
QUIET_S = 20.0
_BATCH = 20_000
_LOOK_S = 0.02
# As sensors give them: numbers with two decimals.
_DATA: list[dict[str, Value]] = [
    {f"value_{i}": round(random.gauss(20, 1), 2) for i in range(16)} for _ in range(5000)
]


class Commits:
    """Times of the hub's commits, as they show in the number of its readings."""

    def __init__(self, hub: WholeHub, history: Path) -> None:
        self._hub, self._log = hub, Path(f"{history}-wal")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.gaps_s: list[float] = []
        self.most_log_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last, last_s = 0, time.monotonic()
        while not self._stop.wait(_LOOK_S):
            report = msgspec.convert(self._hub.json("/health")["history"], dict[str, int | str])
            count, now_s = int(report["commits"]), time.monotonic()
            if count != last:
                self.gaps_s.append(now_s - last_s)
                last, last_s = count, now_s
            self.most_log_bytes = max(self.most_log_bytes, self._log.stat().st_size)

    def shown(self) -> str:
        gaps = sorted(self.gaps_s[1:])
        return (
            f"between commits {gaps[len(gaps) // 2]:.2f} s, at most {gaps[-1]:.2f} s; "
            f"write-ahead log at most {self.most_log_bytes / 1e6:.1f} MB"
        )


def fill(path: Path, megabytes: float) -> None:
    """Make a history by the hub's own writer."""
    db = open_history(path)
    writer = Writer(db, LimitsConfig(history_mb_per_day=1_000_000))
    start_ms = time.time_ns() // 1_000_000 - 20 * 86_400_000
    seq = 0
    while path.stat().st_size < megabytes * 1e6:
        arrivals = []
        for _ in range(_BATCH):
            seq += 1
            data = _DATA[seq % len(_DATA)]
            at_ms = start_ms + seq * 200
            reading = Reading(f"node-{seq % NODES:03}", "air", at_ms, "filled", seq, data, "air")
            arrivals.append(Arrival(reading, False))
        writer.store(arrivals, [], arrivals[-1].reading.timestamp_ms)
        print(f"\r{path.stat().st_size / 1e6:.0f} MB", end="", file=sys.stderr)
    db.close()


async def load(hub: WholeHub, stop: threading.Event) -> None:
    nodes = [VirtualNode(number) for number in range(NODES)]
    for node in nodes:
        await node.connect(hub)
        node.describe(1.0)
    places = [(node, sensor) for sensor in SENSORS for node in nodes]
    count, start_s = 0, time.monotonic()
    while not stop.is_set():
        node, sensor = places[count % len(places)]
        node.read(sensor)
        count += 1
        await asyncio.sleep(max(0.0, start_s + count / READINGS_PER_S - time.monotonic()))
    for node in nodes:
        node.close()


def measure(directory: Path, hub: WholeHub) -> None:
    history = directory / "history.db"
    with Commits(hub, history) as commits:
        time.sleep(QUIET_S)
    print(f"no backup: {commits.shown()}")
    keys = settings(cluster__role="hub", storage__state_dir=directory)
    file = directory / "hub.zip"
    command = [sys.executable, "-m", "harvester.cli", "backup", str(file), "--config", os.devnull]
    with Commits(hub, history) as commits:
        began_s = time.monotonic()
        process = subprocess.Popen([*command, *keys])
        _, status, usage = os.wait4(process.pid, 0)
        took_s = time.monotonic() - began_s
    print(f"backup:    {commits.shown()}")
    print(
        f"{history.stat().st_size / 1e6:.0f} MB of history in {took_s:.0f} s, "
        f"{usage.ru_utime + usage.ru_stime:.0f} s of them CPU, into "
        f"{file.stat().st_size / 1e6:.0f} MB; "
        f"at most {usage.ru_maxrss / 1024:.0f} MB of memory; exit code {status}"
    )


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1000.0
    names = [f"node-{number:03}" for number in range(NODES)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        fill(directory / "history.db", megabytes)
        with whole_hub(directory, names, history__commit_s=COMMIT_S) as hub:
            stop = threading.Event()
            thread = threading.Thread(target=lambda: asyncio.run(load(hub, stop)))
            thread.start()
            try:
                measure(directory, hub)
            finally:
                stop.set()
                thread.join()


if __name__ == "__main__":
    main()
