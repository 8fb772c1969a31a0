"""Cost of a reading for a fleet of virtual nodes on one hub, beside a peer in the same run.

    python -m bench.fleet --nodes 300 1000            the hub, then Mosquitto with a plain script
    python -m bench.fleet --nodes 1000 --kill         kill -9 of the hub in the middle
    python -m bench.fleet --nodes 5000 --waiting 360  a storm: all connect, each with a full outbox

Each node reads three sensors every `--interval` seconds, keeps the readings until they are stored,
and has a will, heartbeats and log lines. Printed are the CPU time a reading of the hub's process,
the time from a reading to its `stored` at its node, sent and stored readings, and memory a node.
With `--stalls` the callbacks that held the hub's event loop for more than 20 ms of CPU are named,
while a browser and Prometheus ask for everything in turn.
"""

import argparse
import contextlib
import itertools
import math
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec

from bench.fleet.load import Plan, Progress
from bench.virtual_nodes import room_for, rss_mb, thread_cpu_s, whole_hub
from tests.support import HOST, WAIT_S, Service, free_port, program, wait_until_listening

# Steady only after so long: first changes of retained topics, first descriptions.
_SETTLE_S = 8.0
_KB_PER_MB = 1024
_VISITED = (
    *("/", "/alarms", "/log", "/system", "/node/node-0001", "/sensor/node-0001/dht22-gpio4"),
    *("/metrics", "/health", "/api/readings", "/api/nodes", "/api/broker", "/api/system"),
    *("/api/alarms", "/api/plugins", "/api/names", "/api/logs", "/api/coverage?node=node-0001"),
    "/api/history?sensor=node-0001:dht22-gpio4&field=temperature",
)


class Target(msgspec.Struct, frozen=True):
    """A server under load: its MQTT port, its processes, and how many readings it has stored."""

    name: str
    port: int
    pids: Callable[[], list[int]]
    stored: Callable[[], int]
    # Kills it and starts it again.
    kill: Callable[[], None] | None = None
    web_port: int = 0
    # What it says at the end.
    notes: Callable[[], list[str]] = list

    @property
    def cpu_s(self) -> float:
        return sum(map(thread_cpu_s, self.pids()))

    @property
    def rss_mb(self) -> float:
        return sum(map(rss_mb, self.pids()))


class Run(msgspec.Struct):
    """Measurements of one run."""

    lines: list[Progress] = []
    cpu_s: float = 0.0
    began: Progress | None = None
    ended: Progress | None = None
    rss_mb: float = 0.0
    idle_mb: float = 0.0
    is_killed: bool = False


@contextlib.contextmanager
def hub(names: list[str], *, stalls: bool) -> Iterator[tuple[Target, dict[str, str]]]:
    """Run a whole hub with room for all nodes."""
    keys = room_for(len(names))
    directory = Path(tempfile.mkdtemp(prefix="harvester-fleet-"))
    module = "bench.fleet.stalls" if stalls else "tests.hub_app.hub_process"
    try:
        with whole_hub(directory, names, module=module, **keys) as running:
            current = [running.service]

            def kill() -> None:
                current[0].process.kill()
                current[0].process.wait(WAIT_S)
                log = directory / f"log{len(current)}"
                current.insert(0, Service(module, running.command, log))
                wait_until_listening(running.port)

            def stored() -> int:
                if current[0].process.poll() is None:
                    current[0].stop()
                with sqlite3.connect(directory / "history.db") as db:
                    (count,) = db.execute("SELECT count(*) FROM every_reading").fetchone()
                return int(count)

            def notes() -> list[str]:
                text = current[0].output()
                return [line for line in text.splitlines() if line.startswith("stalls")]

            yield (
                Target(
                    "hub",
                    running.port,
                    lambda: [current[0].process.pid],
                    stored,
                    kill,
                    running.web_port,
                    notes,
                ),
                running.tokens,
            )
            current[0].__exit__()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def peer(names: list[str]) -> Iterator[tuple[Target, dict[str, str]]]:
    """Run Mosquitto and the script."""
    port = free_port()
    directory = Path(tempfile.mkdtemp(prefix="harvester-peer-"))
    config = directory / "mosquitto.conf"
    config.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\nmax_inflight_messages 0\n"
        "max_queued_messages 0\nlog_dest none\nset_tcp_nodelay true\n"
    )
    file = directory / "peer.db"
    broker = subprocess.Popen([program("mosquitto"), "-c", str(config)])
    try:
        wait_until_listening(port)
        script = subprocess.Popen([sys.executable, "-m", "bench.fleet.peer", str(port), str(file)])
        try:
            # It subscribes before the first node connects.
            time.sleep(2.0)

            def stored() -> int:
                with sqlite3.connect(file) as db:
                    return int(db.execute("SELECT count(*) FROM reading").fetchone()[0])

            pids = [broker.pid, script.pid]
            yield (
                Target("Mosquitto and script", port, lambda: pids, stored),
                dict.fromkeys(names, ""),
            )
        finally:
            script.kill()
            script.wait()
    finally:
        broker.kill()
        broker.wait()
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def visits(target: Target, *, is_wanted: bool) -> Iterator[None]:
    """Ask for the views of the page and for what programs read, one a second."""
    ended = threading.Event()

    def visit() -> None:
        with httpx.Client(base_url=f"http://{HOST}:{target.web_port}", timeout=60.0) as client:
            for path in itertools.cycle(_VISITED):
                if ended.wait(1.0):
                    return
                # The hub may be killed meanwhile.
                with contextlib.suppress(httpx.HTTPError):
                    client.get(path)

    if not is_wanted or not target.web_port:
        yield
        return
    thread = threading.Thread(target=visit, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def pages(target: Target, count: int) -> Iterator[None]:
    """Keep overviews open, and read and drop what they get."""
    if not count or not target.web_port:
        yield
        return
    command = [sys.executable, "-m", "bench.viewers", str(target.web_port), str(count)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def measure(target: Target, tokens: dict[str, str], options: argparse.Namespace) -> Run:
    """Run the load against `target`."""
    run = Run(idle_mb=target.rss_mb)
    connect_s = options.connect or len(tokens) / 100
    plan = Plan(
        *(target.port, tokens, options.interval, connect_s, options.seconds, options.waiting)
    )
    command = [sys.executable, "-m", "bench.fleet.load"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load,
        pages(target, options.pages),
        visits(target, is_wanted=options.stalls),
    ):
        assert load.stdin is not None
        assert load.stdout is not None
        load.stdin.write(msgspec.json.encode(plan))
        load.stdin.close()
        began_s = time.monotonic()
        try:
            for line in load.stdout:
                progress = msgspec.json.decode(line, type=Progress)
                run.lines.append(progress)
                if options.verbose:
                    print(f"  {time.monotonic() - began_s:4.0f} s {progress}", flush=True)
                _note(run, target, began_s + connect_s, options)
        finally:
            load.kill()
    return run


def _note(run: Run, target: Target, steady_s: float, options: argparse.Namespace) -> None:
    """Take the figures at the begin and the end of the steady time; kill in the middle of it."""
    now_s = time.monotonic()
    if run.began is None and now_s >= steady_s + min(_SETTLE_S, options.seconds / 4):
        run.began, run.cpu_s = run.lines[-1], -target.cpu_s
    elif run.ended is None and now_s >= steady_s + options.seconds - 1:
        run.ended, run.cpu_s, run.rss_mb = run.lines[-1], run.cpu_s + target.cpu_s, target.rss_mb
    if options.kill and now_s >= steady_s + options.seconds / 2:
        options.kill = False
        run.is_killed = True
        if target.kill is not None:
            target.kill()


def report(run: Run, target: Target, nodes: int) -> float:
    """Print the figures of a run; return the CPU time a reading in microseconds."""
    last = run.lines[-1]
    found = target.stored()
    began, ended = run.began, run.ended
    assert began is not None
    assert ended is not None
    steady = [line for line in run.lines if began.at_s < line.at_s <= ended.at_s]
    stored = ended.stored - began.stored
    # What a killed process has used is not known any more.
    cost_us = math.nan if run.is_killed else run.cpu_s / max(stored, 1) * 1e6
    passed_s = ended.at_s - began.at_s
    print(
        f"{target.name}: {nodes} nodes, {stored / passed_s:.0f} readings a second: "
        f"{cost_us:.0f} us of CPU each ({run.cpu_s / passed_s:.0%} of a core); to `stored` "
        f"{statistics.median(line.took_p50_s for line in steady if line.took_p50_s):.1f} s, p99 "
        f"{max(line.took_p99_s for line in steady):.1f} s, most "
        f"{max(line.took_most_s for line in steady):.1f} s"
    )
    waited_s = max(line.old_p99_s for line in run.lines)
    print(
        f"    sent {last.created}, told stored {last.stored}, refused {last.refused}, in the "
        f"file {found}{'' if found == last.created == last.stored else '  MISMATCH'}; "
        f"{last.connects} connects; {run.rss_mb:.0f} MB, "
        f"{(run.rss_mb - run.idle_mb) * _KB_PER_MB / nodes:.0f} KB a node; "
        f"the load process late by {max(line.late_s for line in steady):.2f} s"
        + (f"; old readings of the outboxes p99 {waited_s:.0f} s" if waited_s else "")
    )
    for note in target.notes():
        print(f"    {note}")
    return cost_us


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--interval", type=float, default=2.0)
    parser.add_argument("--connect", type=float, default=0.0, help="all connect within so long")
    parser.add_argument("--waiting", type=int, default=0, help="readings in each outbox at first")
    parser.add_argument("--pages", type=int, default=10)
    parser.add_argument("--kill", action="store_true", help="kill the hub in the middle")
    parser.add_argument("--stalls", action="store_true")
    parser.add_argument("--only", choices=("hub", "peer"))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    for nodes in options.nodes:
        names = [f"node-{number:04}" for number in range(nodes)]
        costs = []
        if options.only != "peer":
            with hub(names, stalls=options.stalls) as (target, tokens):
                run = measure(target, tokens, argparse.Namespace(**vars(options)))
                costs.append(report(run, target, nodes))
        if options.only != "hub":
            with peer(names) as (target, tokens):
                run = measure(target, tokens, argparse.Namespace(**vars(options)))
                costs.append(report(run, target, nodes))
        if len(costs) == 2:
            print(f"    the hub's cost is {costs[0] / costs[1]:.2f} of the peer's", flush=True)


if __name__ == "__main__":
    main()
