"""CPU time that open overviews cost the hub, beside ten plain subscribers in the same run.

A whole hub with 200 nodes and 600 sensors takes 300 readings a second. In turn it has no viewer,
18 open overviews and 18 `mosquitto_sub -t 'harvester/#'`; what they add to the CPU time of the hub
with none is printed for ten of each, and the ratio. It is not steady on a machine with other work.
Needs mosquitto_sub; run from the project's folder:

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
# The hub gives one address 20 streams.
VIEWERS = 18
EACH = 10
ROUNDS = 4
SETTLE_S = 2.0
MEASURE_S = 5.0
LIMIT = 1.0
PHASES = ("nobody", "overviews", "subscribers")
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
    if phase == "overviews":
        return [[sys.executable, "-m", "bench.viewers", str(hub.web_port), str(VIEWERS)]]
    if phase == "subscribers":
        subscriber = [program("mosquitto_sub"), "-h", HOST, "-p", str(hub.port)]
        return [[*subscriber, "-t", "harvester/#"]] * VIEWERS
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
    """Return the median of each phase's share of a core, less that with nobody around its round."""
    added: dict[str, list[float]] = {phase: [] for phase in PHASES}
    async with publishing(hub):
        await asyncio.sleep(3 * SETTLE_S)
        base = await share(PHASES[0], hub)
        for _ in range(ROUNDS):
            shares = {phase: await share(phase, hub) for phase in PHASES[1:]}
            # The machine may do other work by and by, so that the ends of a round differ.
            before, base = base, await share(PHASES[0], hub)
            added[PHASES[0]].append(base)
            for phase, found in shares.items():
                added[phase].append((found - (before + base) / 2) * EACH / VIEWERS)
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
        word = "hub alone" if phase == PHASES[0] else f"{EACH} {phase} add"
        print(f"{word:22} {100 * found:5.1f} % of a core")
    ratio = added["overviews"] / added["subscribers"]
    print(
        f"ratio, ten overviews to ten plain subscribers {ratio:.2f}, one to ten {ratio / EACH:.2f}"
    )
    is_within = ratio / EACH <= LIMIT
    print(f"an overview {'within' if is_within else 'NOT within'} ten subscribers")
    return 0 if is_within else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(drain(int(sys.argv[1]), int(sys.argv[2])))
    else:
        sys.exit(main())
