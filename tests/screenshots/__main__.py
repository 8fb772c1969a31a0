"""Screenshots of every view into docs/screenshots: `python -m tests.screenshots`, or a folder.

It runs `harvester up` with simulated chips and a month of history, and takes each view in Chromium:
dark and light, on a desktop and on a phone.
"""

import base64
import contextlib
import json
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.support.wait import WebDriverWait

from bus.clock import now_ms
from tests.chromium import BROWSER_FLAGS
from tests.screenshots import past
from tests.support import HOST, PROJECT, Service, free_port, program

FOLDER = PROJECT / "docs" / "screenshots"
# Components are compiled first, and the air quality is known a minute after that.
_START_S = 300.0
# Of each picture; a busier one is compressed more.
_MOST_BYTES = 120_000
_QUALITIES = (80, 65, 50)
# As with a mouse: what a pointer would show is hidden.
_POINTER = "primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
_RULE = {
    "name": "room-warm",
    "node": "pi4",
    "sensor": "dht22-gpio4",
    "field": "temperature",
    "above": 20.0,
    "clear": 19.0,
    "severity": "warning",
}
_DRAWN = "document.querySelector('[data-state=live]') && document.fonts.status === 'loaded'"


class View(msgspec.Struct, frozen=True):
    """A view: the name of its pictures, its path, and JavaScript that is true once it is drawn."""

    name: str
    path: str
    is_drawn: str = "true"
    is_alarmed: bool = True


class Screen(msgspec.Struct, frozen=True):
    """A screen in CSS pixels; `scale` is how many of a picture each one has."""

    name: str
    width: int
    height: int
    scale: float


# Every curve in the picture.
_SPARKS = """[...document.querySelectorAll('[data-spark-field]')].every((spark) =>
  spark.getBoundingClientRect().top > innerHeight || spark.querySelector('path'))
  && document.querySelector('.coverage svg')"""

VIEWS = (
    View("overview", "/", _SPARKS, is_alarmed=False),
    View("sensor", "/sensor/pi4/dht22-gpio4?range=24h", "document.querySelector('.chart canvas')"),
    View("node", "/node/pi4", "document.querySelector('#charts canvas')"),
    View("alarms", "/alarms", "document.querySelector('#active .alarm')"),
    View("log", "/log", "document.querySelectorAll('#lines li').length > 8"),
    View("system", "/system", "document.querySelector('main')"),
)
SCREENS = (Screen("desktop", 1280, 900, 1.0), Screen("phone", 390, 844, 2.0))
SCHEMES = ("dark", "light")


class Up:
    """A running `harvester up` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        past.write(folder / "revpi", now_ms())
        ports = (("--web-port", self._port), ("--mqtt-port", free_port()))
        more = (*ports, ("--zero-port", free_port()))
        arguments = ["--project", str(PROJECT), "up", "--state", str(folder)]
        arguments += [str(word) for option in more for word in option]
        self._service = Service("harvester.cli", arguments, folder / "log")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._service:
            self._service.stop()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path: str, body: object) -> None:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=30).close()

    def has_air_quality(self) -> bool:
        readings = {
            each["sensor_id"]: each["data"] for each in self.get("/api/readings")["readings"]
        }
        sensors = ("pi4:bme680-0x77", "pizero:bme680-0x76")
        return all("iaq_score" in readings.get(sensor, {}) for sensor in sensors)

    def is_alarmed(self) -> bool:
        return bool(self.get("/api/alarms")["active"])


def until(is_so: Callable[[], bool]) -> None:
    """Wait until `is_so`; a hub that does not answer yet is waited for, too."""
    pause = threading.Event()
    for _ in range(round(_START_S)):
        with contextlib.suppress(OSError):
            if is_so():
                return
        pause.wait(1)
    raise SystemExit(f"the system was not ready after {_START_S:.0f} s")


@contextlib.contextmanager
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = program("chromium")
    looks = ("--hide-scrollbars", "--force-color-profile=srgb", f"--blink-settings={_POINTER}")
    for flag in (*BROWSER_FLAGS, *looks):
        options.add_argument(flag)
    driver = Chrome(options, Driver(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def take(driver: Chrome, url: str, view: View, screen: Screen, scheme: str) -> bytes:
    """Return the picture of one view as WebP, as far down as the screen reaches."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"deviceScaleFactor": screen.scale, "mobile": screen.width < 500}
    size = {"width": screen.width, "height": screen.height}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | size)
    driver.get(url + view.path)
    drawn = f"return Boolean({_DRAWN} && ({view.is_drawn}))"
    WebDriverWait(driver, 60).until(lambda d: d.execute_script(drawn), f"{view.name}: {drawn}")
    # What was fetched is drawn in the frames after.
    driver.execute_async_script("setTimeout(arguments[0], 2500)")
    found = b""
    for quality in _QUALITIES:
        asked = {"format": "webp", "quality": quality}
        found = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])
        if len(found) <= _MOST_BYTES:
            break
    return found


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as state, Up(Path(state)) as system, browser() as driver:
        until(system.has_air_quality)
        for view in sorted(VIEWS, key=lambda each: each.is_alarmed):
            if view.is_alarmed and not system.is_alarmed():
                system.post("/api/alarms/rules", _RULE)
                until(system.is_alarmed)
            for screen in SCREENS:
                for scheme in SCHEMES:
                    picture = take(driver, system.url, view, screen, scheme)
                    file = folder / f"{view.name}-{screen.name}-{scheme}.webp"
                    file.write_bytes(picture)
                    sys.stdout.write(f"{file.name}: {len(picture) / 1000:.0f} KB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
