"""Event streams of pages in a real browser: many windows, and pages that did not run."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome

from tests.hub_app.conftest import HubProcess
from tests.hub_app.page.browser import Page
from tests.hub_app.samples import reading

pytestmark = pytest.mark.timeout(300)

STATE = "document.getElementById('connection').dataset.state"
LIVE = f"{STATE} === 'live'"
PAUSED = "document.getElementById('connection').textContent.includes('click to go on')"
MOST_LIVE = 4
COUNT_STREAMS = """
window.opened = 0;
window.EventSource = class extends EventSource {
  constructor(path) { super(path); window.opened += 1; }
};
"""


@contextmanager
def windows(driver: Chrome, url: str, count: int) -> Iterator[list[str]]:
    """Open windows beside the browser's own; close them at the end."""
    first = driver.current_window_handle
    driver.get("about:blank")
    try:
        for _ in range(count):
            driver.switch_to.new_window("window")
            driver.get(url)
        yield [handle for handle in driver.window_handles if handle != first]
    finally:
        for handle in driver.window_handles:
            if handle != first:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(first)
        # A window that is closed while it loads an icon complains.
        driver.get_log("browser")


def test_of_more_windows_than_a_browser_has_connections_those_used_last_are_live(
    hub: HubProcess, browser: Chrome
) -> None:
    hub.publish(*reading(node="w1"))
    page = Page(browser)
    with windows(browser, hub.url, MOST_LIVE + 3) as handles:
        for number, handle in enumerate(handles):
            browser.switch_to.window(handle)
            page.until(PAUSED if number < 3 else LIVE)
        browser.switch_to.window(handles[0])
        browser.execute_script("dispatchEvent(new Event('pointerdown'))")
        page.until(LIVE)
        browser.switch_to.window(handles[3])
        page.until(PAUSED)
        # The one that was used last of those that wait takes the turn of one that is closed.
        browser.switch_to.window(handles[-1])
        browser.close()
        browser.switch_to.window(handles[3])
        page.until(LIVE)


def test_a_page_that_did_not_run_for_long_gets_a_new_snapshot(
    hub: HubProcess, browser: Chrome
) -> None:
    hub.publish(*reading(node="w2"))
    page = Page(browser)
    browser.get(hub.url)
    page.until(LIVE)
    browser.execute_script(COUNT_STREAMS)
    # The machine has slept for a minute, and the browser's monotonic clock with it.
    browser.execute_script("const now = Date.now; Date.now = () => now() + 60000;")
    page.until("window.opened === 1")
    page.until(LIVE)
    browser.get("about:blank")
