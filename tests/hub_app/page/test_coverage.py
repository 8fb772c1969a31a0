"""Coverage bars in a real browser."""

from typing import get_args

import msgspec
import pytest
from selenium.webdriver import Chrome

from hub_app.history.coverage.coverage import Coverage, CoverageKind, CoverageSpan, SensorCoverage
from tests.hub_app.conftest import HubProcess
from tests.hub_app.page.browser import Page
from tests.hub_app.samples import reading

DAY_MS = 86_400_000
HOUR_MS = DAY_MS // 24
FROM_MS = 1_795_286_721_000

# Hands a coverage, as the hub answers it, to the page's own module, which draws it.
DRAW = """
const [coverage, done] = arguments;
import("/static/live/coverage.js").then((module) => {
  module.keep(coverage, coverage.from_ms, coverage.to_ms);
  module.drawCoverage();
  done();
});
"""


def shown(page: Page, hub: HubProcess, *sensors: SensorCoverage) -> None:
    page.driver.get(hub.url)
    page.until("document.querySelector('[data-state=live]') !== null")
    for sensor in sensors:
        page.until_there(f"[data-coverage-of='{sensor.sensor_id}']")
    coverage = Coverage("c1", FROM_MS, FROM_MS + DAY_MS, list(sensors))
    page.driver.execute_async_script(DRAW, msgspec.to_builtins(coverage))


def sensor(*spans: CoverageSpan, **counts: int) -> SensorCoverage:
    return SensorCoverage("c1:dht22-gpio4", 2000, counts, list(spans))  # type: ignore[arg-type]


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Page:
    hub.publish(*reading(node="c1", temperature=20.0))
    return Page(browser)


def drawn(page: Page) -> list[list[object]]:
    found: list[list[object]] = page.driver.execute_script(
        "return [...document.querySelectorAll('[data-coverage-of=\"c1:dht22-gpio4\"] rect')]"
        ".map(part => [part.dataset.kind, part.x.baseVal.value, part.width.baseVal.value])"
    )
    return found


def test_a_bar_has_each_span_in_its_place_and_says_the_rest_in_words(
    hub: HubProcess, page: Page
) -> None:
    half = FROM_MS + DAY_MS // 2
    shown(
        page,
        hub,
        sensor(
            (FROM_MS, half, "there", 21_600),
            (half, half + 6 * HOUR_MS, "off", 10_800),
            (half + 6 * HOUR_MS, FROM_MS + DAY_MS, "late", 10_800),
            there=21_600,
            off=10_800,
            late=10_800,
        ),
    )
    assert drawn(page) == [["there", 0, 500], ["late", 750, 250], ["off", 500, 250]]
    page.until_text("24 h: 75 %, 10800 arrived later, 10800 node off")


def test_one_missing_sample_is_seen_and_is_never_rounded_away(hub: HubProcess, page: Page) -> None:
    gap = FROM_MS + HOUR_MS
    shown(
        page,
        hub,
        sensor(
            (FROM_MS, gap, "there", 1_800),
            (gap, gap + 2000, "fault", 1),
            (gap + 2000, FROM_MS + DAY_MS, "there", 41_399),
            there=43_199,
            fault=1,
        ),
    )
    kind, _, width = drawn(page)[-1]
    assert (kind, width) == ("fault", 8)
    page.until_text("24 h: 99.9 %, 1 sensor fault")


def test_what_was_not_expected_is_not_missing(hub: HubProcess, page: Page) -> None:
    shown(page, hub, sensor((FROM_MS, FROM_MS + DAY_MS, "none", 0)))
    page.until_text("24 h: none expected")


def test_a_new_page_asks_the_hub_and_keeps_the_bar_when_it_is_drawn_anew(
    hub: HubProcess, page: Page
) -> None:
    shown(page, hub, sensor((FROM_MS, FROM_MS + DAY_MS, "there", 43_200), there=43_200))
    hub.publish(*reading(node="c2", temperature=20.0))
    page.until_there("[data-coverage-of='c2:dht22-gpio4']")
    page.until_text("24 h: 100 %")
    requested = "performance.getEntriesByType('resource').map(e => e.name).join()"
    page.until(f"{requested}.includes('/api/coverage?node=c1&from=')")


def test_every_reason_is_explained(hub: HubProcess, page: Page) -> None:
    reasons = [kind for kind in get_args(CoverageKind) if kind != "none"]
    step = DAY_MS // len(reasons)
    spans = [
        (FROM_MS + i * step, FROM_MS + (i + 1) * step, kind, 1) for i, kind in enumerate(reasons)
    ]
    shown(page, hub, sensor(*spans, **dict.fromkeys(reasons, 1)))
    script = (
        "return [[...document.querySelectorAll('#coverage-legend dt')].map(e => e.dataset.kind),"
        "[...document.querySelectorAll('#coverage-legend dd')].map(e => e.textContent),"
        "[...document.querySelectorAll('.coverage [title]')].map(e => e.title),"
        "[...document.querySelectorAll('.coverage rect title')].map(e => e.textContent)]"
    )
    kinds, meanings, titles, parts = page.driver.execute_script(script)
    assert sorted(kinds) == sorted(get_args(CoverageKind))
    assert all(meanings)
    assert set(titles) <= set(meanings)
    # Samples that are there need no reason.
    assert len(titles) == len(reasons) - 1
    assert len(parts) == len(reasons)
    page.until_text("1 plugin disabled, 1 plugin loading, 1 plugin failed")
