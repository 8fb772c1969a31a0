"""Chromium for tests: headless, and sparing with processor time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver

from tests.support import program

BROWSER_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--window-size=1280,900",
)
# Without these, each page that is opened starts a process, and animations are painted.
_PROCESS_FEATURES = (
    "BackForwardCache",
    "ProactivelySwapBrowsingInstance",
    "SpareRendererForSitePerProcess",
)
_THRIFTY_FLAGS = (
    f"--disable-features={','.join(_PROCESS_FEATURES)}",
    "--disable-site-isolation-trials",
    "--force-prefers-reduced-motion",
    "--in-process-gpu",
    "--no-zygote",
    "--renderer-process-limit=1",
)


@contextmanager
def chromium(profile: Path, *more_flags: str) -> Iterator[Chrome]:
    """Run a browser whose files are in the folder `profile`; it keeps what pages log."""
    options = ChromeOptions()
    options.binary_location = program("chromium")
    for flag in (*BROWSER_FLAGS, *_THRIFTY_FLAGS, *more_flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Driver(program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
