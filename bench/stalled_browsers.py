"""Browsers that read nothing, beside one that reads: memory of the hub, and delays of the reader.

A whole hub with 200 nodes takes 300 readings a second. For two minutes, 16 clients open an event
stream and read nothing, and do it again each time that the hub has ended all of theirs; the
renderer of a Chromium that shows the overview is stopped as long. Then it goes on, and the time
until all of its values are new is printed. Needs chromium and chromedriver; run from the project's
folder:

    python -m bench.stalled_browsers
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from selenium.webdriver import Chrome

from bench.page_memory import renderers
from bench.publish_to_dom import browser
from bench.viewers import publishing
from bench.virtual_nodes import VirtualNode, WholeHub, rss_mb, whole_hub
from tests.support import HOST

NODES = 200
STALLED = 16
POLL_S = 0.25
STALL_S = 120.0
CALM_S = 20.0
# A stalled browser holds its snapshot, 0.9 MB here, and the newest event of each topic.
MOST_MB_PER_STREAM = 2.0
MOST_GROWTH_MB = 5.0
_REQUEST = f"GET /events?view=overview HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
# Of the page: the greatest age of a value by its own words, and when its newest value was taken.
_STATE = """
const at = [...document.querySelectorAll('[data-at]')].map(({dataset}) => Number(dataset.at));
const stale = document.querySelectorAll('[data-at][data-stale]').length;
const { state } = document.getElementById('connection').dataset;
return [state, Math.max(...at), Math.min(...at), stale];
"""


async def read_delays(port: int, delays_s: list[float]) -> None:
    """Read an event stream; note how old each reading is when it arrives."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 26)
    writer.write(_REQUEST)
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            event = await reader.readuntil(b"\n\n")
            _, is_update, data = event.partition(b"event: update\ndata: ")
            if not is_update:
                continue
            now_s = time.time()
            found = json.loads(data.partition(b"\n\n")[0])
            if found["kind"] == "reading":
                delays_s.append(now_s - found["value"]["timestamp_ms"] / 1000)


def open_stream(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((HOST, port))
    sock.sendall(_REQUEST)
    return sock


async def stall(hub: WholeHub, ends_s: list[float]) -> None:
    """Open streams, read nothing, and open more when the hub has ended them, until cancelled."""
    opened: list[socket.socket] = []
    try:
        while True:
            others = await clients(hub)
            start_s = time.monotonic()
            opened += [open_stream(hub.web_port) for _ in range(STALLED)]
            await until_clients(hub, lambda count, others=others: count >= others + STALLED)
            await until_clients(hub, lambda count, others=others: count <= others)
            ends_s.append(time.monotonic() - start_s)
    finally:
        for sock in opened:
            sock.close()


async def until_clients(hub: WholeHub, is_so: Callable[[int], bool]) -> None:
    while True:
        if is_so(await clients(hub)):
            return
        await asyncio.sleep(POLL_S)


async def clients(hub: WholeHub) -> int:
    found = (await asyncio.to_thread(hub.json, "/health"))["clients"]
    return found if isinstance(found, int) else 0


async def measure(hub: WholeHub, driver: Chrome) -> bool:
    delays_s: list[float] = []
    ends_s: list[float] = []
    async with publishing(hub):
        reading = asyncio.create_task(read_delays(hub.web_port, delays_s))
        await asyncio.to_thread(driver.get, hub.url)
        await asyncio.sleep(CALM_S)
        delays_s.clear()
        await asyncio.sleep(CALM_S)
        report("calm", delays_s)
        before_mb = rss_mb(hub.pid)
        stopped = renderers(driver.service.process.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        delays_s.clear()
        stalling = asyncio.create_task(stall(hub, ends_s))
        halves_mb = [await most_mb(hub, STALL_S / 2) for _ in range(2)]
        stalling.cancel()
        report(f"beside {STALLED} stalled", delays_s)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        words = " and ".join(f"{most:.0f}" for most in halves_mb)
        print(f"hub {before_mb:.0f} MB before, at most {words} MB in the halves of that time")
        print(
            f"{len(ends_s)} stalled streams ended, after {min(ends_s):.1f} to {max(ends_s):.1f} s"
        )
        await awake(driver, "a stopped renderer goes on")
        reading.cancel()
    is_small = halves_mb[0] - before_mb < STALLED * MOST_MB_PER_STREAM
    return is_small and halves_mb[1] - halves_mb[0] < MOST_GROWTH_MB


async def most_mb(hub: WholeHub, seconds: float) -> float:
    """Return the most memory that the hub has in a time."""
    most = 0.0
    for _ in range(int(seconds)):
        await asyncio.sleep(1.0)
        most = max(most, rss_mb(hub.pid))
    return most


async def awake(driver: Chrome, what: str) -> None:
    """Print how long the page takes until none of its values is from before."""
    start_s, woke_ms = time.monotonic(), time.time() * 1000
    while True:
        state, newest_ms, oldest_ms, stale = await asyncio.to_thread(driver.execute_script, _STATE)
        # Each sensor is published every two seconds.
        if state == "live" and oldest_ms > woke_ms - 5000 and not stale:
            break
        await asyncio.sleep(0.05)
    lasted_s = time.monotonic() - start_s
    ages = [time.time() - ms / 1000 for ms in (newest_ms, oldest_ms)]
    print(f"{what}: whole after {lasted_s:.1f} s, its values {ages[0]:.1f} to {ages[1]:.1f} s old")


def report(name: str, delays_s: list[float]) -> None:
    ordered = sorted(delays_s)
    p50, p99 = (1000 * ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
    print(f"{name:20} publish to event stream p50 {p50:5.1f} ms, p99 {p99:5.1f} ms", flush=True)


def main() -> int:
    names = [VirtualNode(number).name for number in range(NODES)]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        whole_hub(Path(directory) / "hub", names) as hub,
        browser(Path(directory) / "browser") as driver,
    ):
        is_bounded = asyncio.run(measure(hub, driver))
    print(f"memory {'bounded' if is_bounded else 'NOT bounded'}")
    return 0 if is_bounded else 1


if __name__ == "__main__":
    sys.exit(main())
