"""Memory of the Pi 4's agent with its four plugins, beside the same plugins compiled in-process.

Prints resident (RSS) and proportional (PSS) memory in MB, the time to the first reading of every
sensor, and the ratio to the peer: a process in which wasmtime's own compiler makes the same four
components runnable, as it does where nothing is compiled ahead.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import HOST, PROJECT, Listener, Service, embedded_broker, free_port, settings

PLUGINS = ("dht22", "bme680", "pi4-monitor", "oled")
SENSORS = ("dht22-gpio4", "bme680-0x77", "pi4-monitor")
CYCLES = 5
PEER = """
import sys, time
from wasmtime.component import Component
from node_agent.sandbox.engine import make_engine
began = time.monotonic()
engine = make_engine()
held = [Component.from_file(engine, path) for path in sys.argv[1:]]
print(time.monotonic() - began, flush=True)
sys.stdin.read()
"""


def memory_mb(pid: int) -> dict[str, float]:
    """Return a process's Rss and Pss in MB, as the kernel adds them up."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(kb) / 1024 for name, kb, *_ in fields}


def measure_agent(directory: Path) -> tuple[dict[str, float], float]:
    port = free_port()
    arguments = [
        *("--role", "spoke", "--simulate", "--config", str(PROJECT / "config" / "spoke.toml")),
        *settings(
            broker__url=f"mqtt://{HOST}:{port}",
            storage__cache_dir=PROJECT / ".harvester" / "cache",
            storage__state_dir=directory,
        ),
    ]
    with embedded_broker(port), Listener(port) as ears:
        # The first run fills the cache of compiled components where it is cold.
        with Service("node_agent.cli", arguments, directory / "warm.log") as service:
            wait_for_all(ears, 0)
            service.stop()
        heard = len(ears.said)
        began_s = time.monotonic()
        with Service("node_agent.cli", arguments, directory / "agent.log") as service:
            wait_for_all(ears, heard)
            ready_s = time.monotonic() - began_s
            for _ in range(CYCLES):
                ears.wait_topic("harvester/pi4/heartbeat", after=len(ears.said))
            found = memory_mb(service.process.pid)
            service.stop()
    return found, ready_s


def wait_for_all(ears: Listener, heard: int) -> None:
    for sensor in SENSORS:
        ears.wait_topic(f"harvester/pi4/readings/{sensor}", 180, after=heard)


def measure_peer() -> tuple[dict[str, float], float]:
    wasm = [str(PROJECT / "plugins" / name / f"{name}.wasm") for name in PLUGINS]
    with subprocess.Popen(
        [sys.executable, "-c", PEER, *wasm],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        took_s = float(process.stdout.readline())
        found = memory_mb(process.pid)
        process.communicate("")
    return found, took_s


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        ours, ready_s = measure_agent(Path(directory))
    peer, compiled_s = measure_peer()
    print(f"{'':<34}{'agent':>8}{'peer':>8}{'ratio':>8}")
    for label, mine, theirs in (
        ("resident memory (RSS), MB", ours["Rss"], peer["Rss"]),
        ("proportional memory (PSS), MB", ours["Pss"], peer["Pss"]),
        ("start to all readings, s", ready_s, compiled_s),
    ):
        print(f"{label:<34}{mine:>8.1f}{theirs:>8.1f}{mine / theirs:>8.2f}")
    print("peer: the four components compiled in the process, before any of them is polled")


if __name__ == "__main__":
    main()
