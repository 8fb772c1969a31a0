"""CPU time of the overview with 200 nodes and 600 sensors, at 300 changes a second.

Prints the share of one core that the page's main thread takes, that of all the browser's processes
(which draw without a graphics card here), and that of the hub. Needs chromium and chromedriver; run
from the project's folder:

    python -m bench.overview
"""

import contextlib
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from bench.publish_to_dom import browser, connected
from bench.virtual_nodes import AREAS, SENSORS, data_of
from bus.client.client import BusClient
from bus.clock import now_ms
from bus.contract.description import About
from bus.contract.messages import Message, Reading, Status
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess, running_hub
from tests.support import WAIT_S

NODES = 200
CHANGES_PER_S = 300
MEASURE_S = 20
LIMIT = 0.20
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TILES = "return document.querySelectorAll('[data-state=live], .group .reading').length"


def reading(node: str, sensor: str, seq: int) -> Reading:
    data = data_of(sensor, seq, 20 + random.random())
    return Reading(node, sensor, now_ms(), "bench", seq, data)


def everything() -> Iterator[tuple[Topic, Message]]:
    for number in range(NODES):
        node = f"node-{number:03}"
        status = Status("online", "spoke", "1", "bench", now_ms(), 60.0)
        yield Topic(node, TopicKind.STATUS), status
        about = About(f"Board {number}", f"Area {number % AREAS}", "", "", "", "", {}, {})
        yield Topic(node, TopicKind.ABOUT), about
        for sensor in SENSORS:
            yield Topic(node, TopicKind.SENSOR, sensor), description_of(sensor)
            yield Topic(node, TopicKind.READING, sensor), reading(node, sensor, 0)


def publish(client: BusClient, message: tuple[Topic, Message]) -> None:
    """Publish, and wait while too many messages are on their way."""
    while client.publish(*message) is None:
        time.sleep(0.01)


def publish_changes(client: BusClient, stop: threading.Event, sent: list[float]) -> None:
    """Publish until `stop`; add the time of each reading to `sent`."""
    places = [(f"node-{number:03}", sensor) for sensor in SENSORS for number in range(NODES)]
    start_s = time.monotonic()
    for number in range(sys.maxsize):
        if stop.wait(max(0.0, start_s + number / CHANGES_PER_S - time.monotonic())):
            return
        node, sensor = places[number % len(places)]
        publish(client, (Topic(node, TopicKind.READING, sensor), reading(node, sensor, number + 1)))
        sent.append(time.monotonic())


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of all that descend from it."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = stat.read_text().rpartition(") ")
            words = rest.split()
            children.setdefault(int(words[1]), []).append(int(stat.parent.name))
            used[int(stat.parent.name)] = (int(words[11]) + int(words[12])) / _TICKS_PER_S
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        total += used.get(one, 0.0)
        waiting += children.get(one, [])
    return total


def main_thread_s(driver: Chrome) -> float:
    metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def measure(hub: HubProcess, driver: Chrome) -> tuple[float, float, float]:
    """Return the shares of a core: main thread, whole browser, hub."""
    browser_pid = driver.service.process.pid
    hub_pid = hub.service.process.pid
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = (main_thread_s(driver), cpu_s(browser_pid), cpu_s(hub_pid))
    start_s = time.monotonic()
    threading.Event().wait(MEASURE_S)
    lasted_s = time.monotonic() - start_s
    after = (main_thread_s(driver), cpu_s(browser_pid), cpu_s(hub_pid))
    main, whole, of_hub = ((b - a) / lasted_s for a, b in zip(before, after, strict=True))
    return main, whole, of_hub


def main() -> int:
    stop = threading.Event()
    sent: list[float] = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        running_hub(Path(directory)) as hub,
        browser(Path(directory) / "browser") as driver,
        connected(BusClient(hub.bus_address, client_id="bench")) as client,
    ):
        for message in everything():
            publish(client, message)
        driver.get(hub.url)
        tiles = NODES * len(SENSORS) + 1
        WebDriverWait(driver, WAIT_S).until(lambda d: d.execute_script(_TILES) == tiles)
        thread = threading.Thread(target=publish_changes, args=(client, stop, sent))
        thread.start()
        try:
            threading.Event().wait(5)
            shares = measure(hub, driver)
        finally:
            stop.set()
            thread.join()
    rate = (len(sent) - 1) / (sent[-1] - sent[0])
    print(f"{NODES} nodes, {tiles - 1} sensors, {rate:.0f} changes a second, one browser")
    for name, share in zip(
        ("main thread of the page", "browser, all of it", "hub"), shares, strict=True
    ):
        print(f"{name:26} {100 * share:5.1f} % of a core")
    is_within = shares[1] < LIMIT
    print(f"browser {'within' if is_within else 'NOT within'} {100 * LIMIT:.0f} %")
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
