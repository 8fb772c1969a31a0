"""Memory and CPU time of pages that stay open: 60 nodes for ten minutes, in headless Chromium.

The nodes publish readings, heartbeats and log lines; plugins fail and run again, alarms come and
go. Three windows show the overview, a sensor and the log. Each 30 s, after a garbage collection, a
line has the JavaScript heap, the DOM nodes and listeners of each page and the share of a core of
its main thread, the memory of the renderers and the share of the whole browser. Needs chromium and
chromedriver; run from the project's folder:

    python -m bench.page_memory [--seconds 600] [--views overview,sensor,log]
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from bench.overview import cpu_s
from bench.publish_to_dom import browser
from bench.virtual_nodes import SENSORS, VirtualNode, WholeHub, rss_mb, whole_hub
from tests.support import WAIT_S

NODES = 60
INTERVAL_S = 2.0
# Readings, three a node and cycle; every n-th is followed by something else.
LOG_EACH = 9
PLUGIN_EACH = 180
ALARM_EACH = 450
HOT_C = 50.0
RULE = {"name": "hot", "field": "temperature", "above": 40, "clear": 35}
SAMPLE_S = 30.0
# Figures before are of a page that fills up: charts, sparklines, the first lines of the log.
WARM_UP_S = 60.0
# A history that fills up has more points, a chart's worth at most.
MOST_GROWTH = 0.05
MOST_GROWTH_MB = 0.5
# Of a core, for one window.
LIMIT = 0.20
PATHS = {"overview": "/", "sensor": "/sensor/node-000/bme680-0x77", "log": "/log"}
_METRICS = {"heap": "JSHeapUsedSize", "dom": "Nodes", "listeners": "JSEventListeners"}


class Sample(msgspec.Struct, frozen=True):
    """One line: of each page its heap in MB, its DOM nodes and its listeners."""

    at_s: float
    pages: dict[str, dict[str, float]]
    renderers_mb: float
    # Of a core: the whole browser, and the main thread of each page.
    browser_share: float
    main_shares: dict[str, float]


async def publish(nodes: list[VirtualNode], stop: threading.Event) -> None:
    """Publish as nodes do, spread over the cycle, until `stop`."""
    places = [(node, sensor) for sensor in SENSORS for node in nodes]
    start_s, step_s = time.monotonic(), INTERVAL_S / len(places)
    for number in range(sys.maxsize):
        await asyncio.sleep(max(0.0, start_s + number * step_s - time.monotonic()))
        if stop.is_set():
            return
        node, sensor = places[number % len(places)]
        is_hot = node.number == 1 and number // ALARM_EACH % 2 == 1
        node.read(sensor, HOT_C if is_hot else None)
        if sensor == SENSORS[0]:
            node.beat()
        if number % LOG_EACH == 0:
            node.log(f"line {number} of a benchmark, as long as those of a plugin mostly are")
        if number % PLUGIN_EACH == 0:
            nodes[number // PLUGIN_EACH % len(nodes)].change_plugin()


@contextlib.contextmanager
def publishing(hub: WholeHub) -> Iterator[None]:
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        nodes = [VirtualNode(number) for number in range(NODES)]
        for node in nodes:
            await node.connect(hub)
            node.describe(INTERVAL_S)
        ready.set()
        await publish(nodes, stop)
        for node in nodes:
            node.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        if not ready.wait(WAIT_S):
            raise TimeoutError("the nodes did not connect")
        yield
    finally:
        stop.set()
        thread.join()


def open_windows(hub: WholeHub, driver: Chrome, views: list[str]) -> dict[str, str]:
    """Open a window for each view; return the handles by view."""
    handles = {}
    for view in views:
        if handles:
            driver.switch_to.new_window("window")
        driver.get(hub.url + PATHS[view])
        WebDriverWait(driver, WAIT_S).until(
            lambda d: d.execute_script("return !!document.querySelector('[data-state=live]')")
        )
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        handles[view] = driver.current_window_handle
    return handles


def page_metrics(driver: Chrome) -> dict[str, float]:
    # The first leaves what its finalizers still hold.
    for _ in range(2):
        driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    found = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    by_name = {each["name"]: float(each["value"]) for each in found}
    metrics = {key: by_name[name] for key, name in _METRICS.items()}
    metrics["heap"] /= 1e6
    metrics["tasks_s"] = by_name["TaskDuration"]
    if driver.execute_script("return document.hidden"):
        raise RuntimeError("a hidden page is no measurement")
    return metrics


def renderers(pid: int) -> list[int]:
    """Return the renderers that descend from a process."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            if b"--type=renderer" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.append(one)
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def samples(driver: Chrome, handles: dict[str, str], seconds: float) -> Iterator[Sample]:
    pid = driver.service.process.pid
    start_s = time.monotonic()
    at_s, used_s = start_s, cpu_s(pid)
    tasks_s = dict.fromkeys(handles, 0.0)
    while at_s - start_s < seconds:
        threading.Event().wait(SAMPLE_S)
        # Before the collections, which are no work of the page.
        now_s, now_used_s = time.monotonic(), cpu_s(pid)
        pages = {}
        for view, handle in handles.items():
            driver.switch_to.window(handle)
            pages[view] = page_metrics(driver)
        lasted_s = now_s - at_s
        mains = {view: (page["tasks_s"] - tasks_s[view]) / lasted_s for view, page in pages.items()}
        share = (now_used_s - used_s) / lasted_s
        yield Sample(now_s - start_s, pages, sum(map(rss_mb, renderers(pid))), share, mains)
        tasks_s = {view: page["tasks_s"] for view, page in pages.items()}
        at_s, used_s = time.monotonic(), cpu_s(pid)


def line_of(sample: Sample) -> str:
    pages = "  ".join(
        f"{view} {page['heap']:5.2f} MB {page['dom']:6.0f} nodes {page['listeners']:4.0f} listeners"
        f" {100 * sample.main_shares[view]:4.1f} %"
        for view, page in sample.pages.items()
    )
    return (
        f"{sample.at_s:4.0f} s  {pages}  renderers {sample.renderers_mb:4.0f} MB  "
        f"browser {100 * sample.browser_share:4.1f} %"
    )


def ends(values: list[float]) -> tuple[float, float]:
    """Return the medians of the first third and of the last."""
    third = max(1, len(values) // 3)
    return statistics.median(values[:third]), statistics.median(values[-third:])


def report(found: list[Sample], views: list[str]) -> bool:
    """Print what grew; return whether all of it is within the limits."""
    warm = [sample for sample in found if sample.at_s > WARM_UP_S]
    figures = {
        f"{view}, {key}": [sample.pages[view][key] for sample in warm]
        for view in views
        for key in _METRICS
    }
    figures["renderers, MB"] = [sample.renderers_mb for sample in warm]
    is_flat = True
    for name, values in figures.items():
        first, last = ends(values)
        least = MOST_GROWTH_MB if name.endswith("heap") else 0.0
        is_flat &= last - first <= max(first * MOST_GROWTH, least)
        print(f"{name:22} {first:9.2f} in the first third, {last:9.2f} in the last")
    share = statistics.median(sample.browser_share for sample in warm)
    each = share / len(views)
    print(
        f"memory {'flat' if is_flat else 'NOT flat'}; browser {100 * share:.1f} % of a core", end=""
    )
    print(f" for {len(views)} windows, {100 * each:.1f} % each")
    return is_flat and each < LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--views", default=",".join(PATHS))
    arguments = parser.parse_args()
    views = arguments.views.split(",")
    names = [VirtualNode(number).name for number in range(NODES)]
    found = []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory,
        whole_hub(Path(directory) / "hub", names) as hub,
        browser(Path(directory) / "browser") as driver,
        publishing(hub),
    ):
        httpx.post(f"{hub.url}/api/alarms/rules", json=RULE).raise_for_status()
        # A sensor has no view before its first reading.
        threading.Event().wait(3 * INTERVAL_S)
        handles = open_windows(hub, driver, views)
        for sample in samples(driver, handles, arguments.seconds):
            print(line_of(sample), flush=True)
            found.append(sample)
    return 0 if report(found, views) else 1


if __name__ == "__main__":
    sys.exit(main())
