"""CPU time that open overviews cost the hub, beside ten plain subscribers in the same run.

A whole hub with 200 nodes and 600 sensors takes 300 readings a second. In turn it has no viewer,
one open overview, ten of them, and ten `mosquitto_sub -t 'harvester/#'`; what each adds to the CPU
time of the hub with none is printed, and the ratio. Needs mosquitto_sub; run from the project's
folder:

    python -m bench.viewers
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from bench.virtual_nodes import SENSORS, VirtualNode, WholeHub, thread_cpu_s, whole_hub
from tests.support import HOST, program

NODES = 200
CHANGES_PER_S = 300
SUBSCRIBERS = 10
ROUNDS = 5
SETTLE_S = 2.0
MEASURE_S = 6.0
LIMIT = 1.0
PHASES = ("nobody", "1 overview", "10 overviews", "10 subscribers")
_PATH = "/events?view=overview"


async def publish_changes(nodes: list[VirtualNode]) -> None:
    """Publish readings of all sensors in turn, until cancelled."""
    start_s = time.monotonic()
    for number in range(sys.maxsize):
        await asyncio.sleep(max(0.0, start_s + number / CHANGES_PER_S - time.monotonic()))
        nodes[number % len(nodes)].read(SENSORS[number // len(nodes) % len(SENSORS)])


async def drain(port: int, streams: int) -> None:
    """Take every event of some event streams and look at none."""

    async def take_all() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"GET {_PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        while await reader.read(1 << 20):
            pass

    await asyncio.gather(*(take_all() for _ in range(streams)))


def command(phase: str, hub: WholeHub) -> list[list[str]]:
    """Return the commands of the processes that look on in a phase."""
    count, _, what = phase.partition(" ")
    if what.startswith("overview"):
        return [[sys.executable, "-m", "bench.viewers", str(hub.web_port), count]]
    if what == "subscribers":
        subscriber = [program("mosquitto_sub"), "-h", HOST, "-p", str(hub.port)]
        return [[*subscriber, "-t", "harvester/#"]] * SUBSCRIBERS
    return []


@contextlib.contextmanager
def looking_on(phase: str, hub: WholeHub) -> Iterator[None]:
    processes = [
        subprocess.Popen(words, stdout=subprocess.DEVNULL) for words in command(phase, hub)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


async def share(phase: str, hub: WholeHub) -> float:
    """Return the share of a core that the hub takes in a phase."""
    with looking_on(phase, hub):
        await asyncio.sleep(SETTLE_S)
        before_s, start_s = thread_cpu_s(hub.pid), time.monotonic()
        await asyncio.sleep(MEASURE_S)
        used_s = thread_cpu_s(hub.pid) - before_s
        return used_s / (time.monotonic() - start_s)


@contextlib.asynccontextmanager
async def publishing(hub: WholeHub) -> AsyncIterator[None]:
    nodes = [VirtualNode(number) for number in range(NODES)]
    for node in nodes:
        await node.connect(hub)
        node.describe(60.0)
    task = asyncio.create_task(publish_changes(nodes))
    try:
        yield
    finally:
        task.cancel()
        for node in nodes:
            node.close()


async def measure(hub: WholeHub) -> dict[str, float]:
    """Return the median of each phase's share of a core, less that with nobody in its round."""
    added: dict[str, list[float]] = {phase: [] for phase in PHASES}
    async with publishing(hub):
        await asyncio.sleep(3 * SETTLE_S)
        for _ in range(ROUNDS):
            shares = {phase: await share(phase, hub) for phase in PHASES}
            base = shares[PHASES[0]]
            for phase, found in shares.items():
                added[phase].append(found if phase == PHASES[0] else found - base)
    return {phase: statistics.median(found) for phase, found in added.items()}


def main() -> int:
    names = [VirtualNode(number).name for number in range(NODES)]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        whole_hub(Path(directory), names) as hub,
    ):
        added = asyncio.run(measure(hub))
    print(f"{NODES * len(SENSORS)} sensors, {CHANGES_PER_S} changes a second")
    for phase, found in added.items():
        word = "hub alone" if phase == PHASES[0] else f"{phase} add"
        print(f"{word:22} {100 * found:5.1f} % of a core")
    subscribers = added[PHASES[3]]
    ratios = [added[phase] / subscribers for phase in PHASES[1:3]]
    for phase, ratio in zip(PHASES[1:3], ratios, strict=True):
        print(f"ratio, {phase:12} to ten plain subscribers {ratio:.2f}")
    print(f"an overview {'within' if ratios[0] <= LIMIT else 'NOT within'} ten subscribers")
    return 0 if ratios[0] <= LIMIT else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(drain(int(sys.argv[1]), int(sys.argv[2])))
    else:
        sys.exit(main())
