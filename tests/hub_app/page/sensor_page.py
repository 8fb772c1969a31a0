"""The sensor view in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

from tests.hub_app.conftest import HubProcess
from tests.hub_app.page.browser import Page

CHART = "document.querySelector('.chart').chart"


class SensorPage(Page):
    """The sensor view; `chart` is that of its first field."""

    def open(self, hub: HubProcess, path: str, **query: str) -> None:
        self.driver.get(f"{hub.url}{path}?{urlencode(query)}")
        self.until("document.querySelector('[data-state=live]') !== null")
        self.until("document.querySelector('.chart')?.chart.series.length > 0")
        self.settle()

    def settle(self) -> None:
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def range(self) -> tuple[float, float]:
        found = self.run(f"return [{CHART}.from, {CHART}.to]")
        return found[0], found[1]

    @property
    def area(self) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, ".chart")

    def chain_to(self, value: float, at: float = 0.5) -> ActionChains:
        """Return a chain that has moved the mouse to a value, at a part of the chart's width."""
        # Offsets count from the middle of what is in view.
        self.run("arguments[0].scrollIntoView({block: 'center'})", self.area)
        x, y = self.place(value, at)
        width, height = self.area.size["width"], self.area.size["height"]
        chain = ActionChains(self.driver, duration=0)
        return chain.move_to_element_with_offset(
            self.area, round(x - width / 2), round(y - height / 2)
        )

    def place(self, value: float, at: float = 0.5) -> tuple[float, float]:
        """Return the pixels of a value within the chart."""
        found = self.run(
            f"const {{place}} = {CHART};"
            "return [place.left + (place.right - place.left) * arguments[1],"
            " place.scales[0].y(arguments[0])]",
            value,
            at,
        )
        return found[0], found[1]


@contextmanager
def phone(page: SensorPage) -> Iterator[None]:
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        yield
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
