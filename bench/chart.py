"""Script time of drawing 10,000 points with the chart of the page, beside uPlot in one browser.

uPlot is fetched from the npm registry into a temporary folder. Both draw a mean line with a band
from least to greatest on a canvas of 1200 by 300 pixels, on a screen with one and with two dots a
pixel. Needs npm, chromium and chromedriver; run from the project's folder:

    python -m bench.chart
"""

import contextlib
import functools
import http.server
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome

from bench.publish_to_dom import browser
from hub_app.http.responses import PAGE_DIR
from tests.support import HOST

POINTS = 10_000
ROUNDS = 60
LIMIT_MS = 16.0

PAGE = """<!doctype html><meta charset="utf-8">
<link rel="stylesheet" href="static/frame/app.css">
<link rel="stylesheet" href="uplot/uPlot.min.css">
<style>.chart { position: relative; width: 1200px; height: 300px } canvas { position: absolute }
.chart-picture, .chart-cursor { width: 100%; height: 100% }</style>
<div class="chart" id="ours"></div><div id="theirs"></div>
"""

MEASURE = """
const [size, rounds, done] = arguments;
(async () => {
  const from = 1795000000000;
  const noise = () => Math.random() - 0.5;
  const times = Array.from({length: size}, (_, i) => from + i * 8640);
  const means = times.map((_, i) => 20 + 5 * Math.sin(i / 700) + noise());
  const lows = means.map((mean) => mean - 0.5 - Math.random());
  const highs = means.map((mean) => mean + 0.5 + Math.random());
  const to = times[size - 1];
  const timed = [];
  const frame = () => new Promise((next) => requestAnimationFrame(() => setTimeout(next)));

  const { Chart } = await import("/static/chart/chart.js");
  const chart = new Chart(document.getElementById("ours"), { from, to });
  const points = times.map((time, i) => [time, means[i], lows[i], highs[i], 1]);
  chart.show({ series: [{ label: "t", unit: "C", points, joinMs: 1e6 }] });
  await frame();
  const ours = [];
  for (let k = 0; k < rounds; k++) {
    // Another range each time, so that nothing is the same as before.
    [chart.from, chart.to] = [from + k * 10, to + k * 10];
    const start = performance.now();
    chart.drawNow();
    ours.push(performance.now() - start);
    cancelAnimationFrame(chart.frame);
    await frame();
  }

  const theirs = [];
  try {
    const { default: uPlot } = await import("/uplot/uPlot.esm.js");
    const seconds = times.map((ms) => ms / 1000);
    const line = { stroke: "#5ee28a", width: 1.5, points: { show: false } };
    const edge = { ...line, stroke: "transparent" };
    const plot = new uPlot({
      width: 1200, height: 300, series: [{}, line, edge, edge],
      bands: [{ series: [3, 2], fill: "#5ee28a48" }],
    }, [seconds, means, lows, highs], document.getElementById("theirs"));
    await frame();
    for (let k = 0; k < rounds; k++) {
      const start = performance.now();
      plot.setScale("x", { min: seconds[0] + k / 100, max: seconds[size - 1] + k / 100 });
      // It draws in a microtask.
      await Promise.resolve();
      theirs.push(performance.now() - start);
      await frame();
    }
  } catch (error) {
    console.warn(String(error));
  }
  done([ours, theirs]);
})();
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing: the figures are the output."""


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fetch_uplot(directory: Path) -> str:
    """Unpack uPlot into `directory`; return its version, empty where it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    with tempfile.TemporaryDirectory() as packed:
        command = [npm, "pack", "--silent", "uplot"]
        if subprocess.run(
            command, cwd=packed, timeout=120, stdout=subprocess.DEVNULL, check=False
        ).returncode:
            return ""
        (archive,) = Path(packed).glob("uplot-*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(packed, filter="data")
        shutil.copytree(Path(packed) / "package" / "dist", directory)
        return archive.stem.removeprefix("uplot-")


def measure(driver: Chrome, url: str, ratio: int) -> list[list[float]]:
    screen = {"width": 1280, "height": 900, "deviceScaleFactor": ratio, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.get(url)
    driver.set_script_timeout(120)
    times: list[list[float]] = driver.execute_async_script(MEASURE, POINTS, ROUNDS)
    return times


def report(name: str, times_ms: list[float]) -> float:
    if not times_ms:
        print(f"  {name:14} not measured")
        return 0.0
    # The first draws are compiled while they run.
    warm = sorted(times_ms[5:])
    p50, p95 = statistics.median(warm), warm[int(len(warm) * 0.95)]
    print(f"  {name:14} first {times_ms[0]:6.2f} ms   p50 {p50:6.2f} ms   p95 {p95:6.2f} ms")
    return p50


def main() -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        root = Path(directory) / "served"
        root.mkdir()
        (root / "index.html").write_text(PAGE)
        (root / "static").symlink_to(PAGE_DIR)
        version = fetch_uplot(root / "uplot")
        slowest = 0.0
        with served(root) as url, browser(Path(directory) / "browser") as driver:
            for ratio in (1, 2):
                ours, theirs = measure(driver, url, ratio)
                print(f"{POINTS} points, 1200 x 300 pixels, {ratio} dots a pixel, script only")
                mine = report("chart", ours)
                peer = report(f"uPlot {version}", theirs)
                if peer:
                    print(f"  ratio, chart to uPlot  {mine / peer:.2f}")
                slowest = max(slowest, mine)
    print(f"p50 {'within' if slowest < LIMIT_MS else 'NOT within'} {LIMIT_MS:.0f} ms")
    return 0 if slowest < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
