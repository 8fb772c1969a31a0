"""How long a published reading takes to the DOM of a real browser, beside nine other streams.

The peer is a bare MQTT subscriber on the same broker in the same run. All processes share one
machine and so one clock. Needs chromium and chromedriver; run from the project's folder:

    python -m bench.publish_to_dom
"""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.support.wait import WebDriverWait

from bus.client.client import BusClient
from bus.contract.messages import Reading, decode
from bus.contract.topics import Topic, TopicKind, parse
from tests.chromium import BROWSER_FLAGS
from tests.hub_app.conftest import HubProcess, running_hub
from tests.support import HOST, WAIT_S, program

READINGS = 500
OTHER_CLIENTS = 9
# Ten nodes with ten sensors each, every 2 s, are 50 readings a second.
INTERVAL_S = 0.02
LIMIT_MS = 50.0

TOPIC = Topic("bench", TopicKind.READING, "probe")

# Notes when the field shows each number, in milliseconds since the epoch.
WATCH = """
const place = document.querySelector('[data-field="count"] .value');
window.seen = {};
new MutationObserver(() => {
  window.seen[place.textContent] ??= performance.timeOrigin + performance.now();
}).observe(place, {childList: true, characterData: true, subtree: true});
"""


def now_ms() -> float:
    return time.time_ns() / 1e6


def reading(number: int) -> Reading:
    return Reading("bench", "probe", int(now_ms()), "bench", number, {"count": number})


@contextlib.contextmanager
def connected(client: BusClient) -> Iterator[BusClient]:
    client.start()
    deadline_s = time.monotonic() + WAIT_S
    while not client.connected and time.monotonic() < deadline_s:
        time.sleep(0.01)
    try:
        yield client
    finally:
        client.stop()


class Peer:
    """A subscriber with nothing behind it: what the bus alone costs."""

    def __init__(self) -> None:
        self.received: dict[int, float] = {}
        self.finished = threading.Event()

    def hear(self, text: str, payload: bytes) -> None:
        at_ms = now_ms()
        message = decode(parse(text), payload)
        if isinstance(message, Reading):
            self.received[message.seq] = at_ms
            if message.seq == READINGS:
                self.finished.set()


@contextlib.contextmanager
def other_streams(port: int) -> Iterator[None]:
    """Hold as many event streams open as other browsers would, in a process of their own."""
    with subprocess.Popen([sys.executable, "-m", "bench.publish_to_dom", str(port)]) as process:
        try:
            yield
        finally:
            process.terminate()


async def drain(port: int) -> None:
    """Take every event of every stream and look at none."""

    async def take_all() -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        while await reader.read(65536):
            pass

    await asyncio.gather(*(take_all() for _ in range(OTHER_CLIENTS)))


@contextlib.contextmanager
def browser(directory: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={directory}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Driver(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def publish(client: BusClient) -> dict[int, float]:
    """Publish all readings at a steady rate; return when each was handed over."""
    sent = {}
    start_s = time.monotonic()
    for number in range(1, READINGS + 1):
        time.sleep(max(0.0, start_s + number * INTERVAL_S - time.monotonic()))
        sent[number] = now_ms()
        client.publish(TOPIC, reading(number))
    return sent


def measure(hub: HubProcess, driver: webdriver.Chrome) -> tuple[list[float], list[float]]:
    """Return the milliseconds from publish to the peer, and from publish to the DOM."""
    peer = Peer()
    waiting = WebDriverWait(driver, WAIT_S, 0.05)
    publisher = BusClient(hub.bus_address, client_id="bench-publisher")
    subscriber = BusClient(
        hub.bus_address, client_id="bench-peer", filters=[str(TOPIC)], on_message=peer.hear
    )
    with connected(publisher), connected(subscriber):
        publisher.publish(TOPIC, reading(0))
        driver.get(hub.url)
        waiting.until(
            lambda d: d.execute_script(
                "return document.querySelector('[data-state=live]')"
                " && document.querySelector('[data-field=count]')"
            )
        )
        waiting.until(lambda _: hub.http.get("/health").json()["clients"] == OTHER_CLIENTS + 1)
        print(f"{OTHER_CLIENTS + 1} event streams, one of them Chromium; {READINGS} readings")
        driver.execute_script(WATCH)
        sent = publish(publisher)
        peer.finished.wait(WAIT_S)
        waiting.until(lambda d: d.execute_script(f"return window.seen[{READINGS}]"))
    seen = {int(text): at for text, at in driver.execute_script("return window.seen").items()}
    # A value that a newer one replaced before the browser took it has no time of its own.
    print(f"shown {len(seen)} of {READINGS}, the others coalesced")
    return (
        [at - sent[number] for number, at in peer.received.items() if number in sent],
        [at - sent[number] for number, at in seen.items() if number in sent],
    )


def report(name: str, times_ms: list[float]) -> tuple[float, float]:
    times_ms = sorted(times_ms)
    p50 = statistics.median(times_ms)
    p99 = times_ms[int(len(times_ms) * 0.99) - 1]
    print(f"{name:24} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   max {times_ms[-1]:6.2f} ms")
    return p50, p99


def main() -> int:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        running_hub(Path(directory)) as hub,
        other_streams(hub.web_port),
        browser(Path(directory) / "browser") as driver,
    ):
        to_peer_ms, to_dom_ms = measure(hub, driver)
    peer_p50, peer_p99 = report("publish to subscriber", to_peer_ms)
    dom_p50, dom_p99 = report("publish to DOM", to_dom_ms)
    print(
        f"ratio, DOM to subscriber  p50 {dom_p50 / peer_p50:.1f}      p99 {dom_p99 / peer_p99:.1f}"
    )
    print(f"p99 {'within' if dom_p99 < LIMIT_MS else 'NOT within'} {LIMIT_MS:.0f} ms")
    return 0 if dom_p99 < LIMIT_MS else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(drain(int(sys.argv[1])))
    else:
        sys.exit(main())
