"""The chart module by itself in a real browser: its pixels, its model and its gestures."""

import base64
import functools
import http.server
import math
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from hub_app.http.formats.query_params import iso_8601
from hub_app.http.responses import PAGE_DIR
from tests.hub_app.page.browser import Page, complaints
from tests.hub_app.page.gestures import touch
from tests.support import HOST

FROM = 1_795_000_200_000
HOUR = 3_600_000
TO = FROM + 6 * HOUR
STEP = 60_000
GAP = (FROM + 2 * HOUR, FROM + 3 * HOUR)
SPIKE = FROM + 4 * HOUR

# A sine with a gap of an hour and a spike of one reading within a minute.
MAKE = """
const [from, to, step, gap, spike, done] = arguments;
document.body.innerHTML = '<div class="chart" id="chart" tabindex="0" role="group"></div>';
Object.assign(document.body.style, {margin: "0", padding: "0", maxWidth: "none"});
for (const sheet of ["/frame/app.css", "/sensor/sensor.css"]) {
  if (document.querySelector(`link[href="${sheet}"]`)) continue;
  const link = document.createElement("link");
  Object.assign(link, {rel: "stylesheet", href: sheet});
  document.head.append(link);
}
document.getElementById("chart").style.height = "300px";
import("/chart/chart.js").then(({Chart}) => {
  window.ranges = [];
  window.resets = 0;
  const chart = new Chart(document.getElementById("chart"), {
    from, to, kinds: {off: ["node off", "did not run"]},
    onRange: (...range) => ranges.push(range), onReset: () => { resets++; },
  });
  const points = [];
  for (let at = from; at < to; at += step) {
    if (at >= gap[0] && at < gap[1]) continue;
    const value = 20 + 5 * Math.sin((at - from) / 3e6);
    points.push([at, value, value - 0.5, at === spike ? 40 : value + 0.5, 30]);
  }
  const format = (value) => `${value.toFixed(1)} °C`;
  const words = {label: "Air", unit: "°C", decimals: 1, format};
  window.series = {...words, points, bucketMs: step, joinMs: 3 * step};
  chart.show({
    series: [series], gaps: [[...gap, "off"]],
    limits: [{value: 30, label: "too warm", tone: "bad"}],
    bands: [{to: 18, word: "cool", tone: "muted"}, {to: Infinity, word: "fine", tone: "mild"}],
  });
  window.chart = chart;
  requestAnimationFrame(() => requestAnimationFrame(done));
});
"""

# Colour of a dot at a place in CSS pixels, and of a name in the style.
PIXEL = """
const [x, y] = arguments;
const {canvases: [canvas], width} = chart;
const ratio = canvas.width / width;
const place = [x, y].map((at) => Math.round(at * ratio));
return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
"""
COLUMN = """
const [at, name] = arguments;
const {canvases: [canvas], width, height, place} = chart;
const ratio = canvas.width / width;
const probe = document.createElement("canvas").getContext("2d");
probe.fillStyle = chart.color(name);
probe.fillRect(0, 0, 1, 1);
const want = probe.getImageData(0, 0, 1, 1).data;
const x = Math.round(place.x(at) * ratio);
const column = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height).data;
const found = [];
for (let i = 0; i < canvas.height; i++) {
  const dot = column.subarray(4 * i, 4 * i + 4);
  if (dot[3] > 40 && [0, 1, 2].every((k) => Math.abs(dot[k] - want[k]) < 40)) found.push(i / ratio);
}
return found;
"""


# Shows 10,000 points; returns the number of runs, and size and extremes of the first.
MANY = """
const points = Array.from({length: 10000}, (_, i) => [arguments[0] + i * 2160, i % 7, -i, i, 1]);
chart.show({series: [{...series, points, joinMs: 1e6}]});
chart.drawNow();
const width = chart.place.right - chart.place.left;
const found = chart.series[0].runs(chart.from, chart.to, (chart.to - chart.from) / (2 * width));
const runs = [...found];
const [{times, lows, highs}] = runs;
return [runs.length, times.length, width, Math.min(...lows), Math.max(...highs)];
"""
TICKS = """
const [from, to, most, done] = arguments;
import("/chart/ticks.js").then(({timeTicks}) => done(timeTicks(from, to, most)));
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the files of the page, without a hub."""
    handler = functools.partial(_Quiet, directory=str(PAGE_DIR))
    with http.server.ThreadingHTTPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


class ChartPage(Page):
    """A page with one chart of 300 pixels height, `window.chart`."""

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def model(self, expression: str) -> Any:
        return self.run(f"return chart.{expression}")

    def drawn(self) -> None:
        """Wait until what was changed is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def x(self, at_ms: float) -> float:
        return float(self.run("return chart.place.x(arguments[0])", at_ms))

    def y(self, value: float) -> float:
        return float(self.run("return chart.place.scales[0].y(arguments[0])", value))

    def rows(self, at_ms: float, name: str) -> list[float]:
        """Return the heights at which a colour of the style is seen at a time."""
        found: list[float] = self.run(COLUMN, at_ms, name)
        return found

    @property
    def area(self) -> WebElement:
        return self.driver.find_element("id", "chart")

    @property
    def range(self) -> tuple[float, float]:
        found = self.run("return [chart.from, chart.to]")
        return found[0], found[1]

    def point_to(self, at_ms: float, y: float = 150) -> ActionChains:
        """Move the pointer to a time."""
        left, top = self.x(at_ms), y
        size = self.area.size
        chain = ActionChains(self.driver, duration=0)
        return chain.move_to_element_with_offset(
            self.area, round(left - size["width"] / 2), round(top - size["height"] / 2)
        )


@pytest.fixture
def page(url: str, browser: Chrome) -> Iterator[ChartPage]:
    if not browser.current_url.startswith(url):
        browser.get(f"{url}/frame/unrendered.html")
    browser.execute_async_script(MAKE, FROM, TO, STEP, GAP, SPIKE)
    opened = ChartPage(browser)
    opened.until("getComputedStyle(document.getElementById('chart')).touchAction === 'pan-y'")
    opened.run("chart.draw()")
    opened.drawn()
    yield opened
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert complaints(browser) == []


def value(at_ms: float) -> float:
    return 20 + 5 * math.sin((at_ms - FROM) / 3e6)


def near(heights: list[float], height: float) -> bool:
    return any(abs(found - height) <= 2 for found in heights)


def test_the_mean_is_a_line_through_the_values(page: ChartPage) -> None:
    for at_ms in (FROM + HOUR // 2, FROM + HOUR, FROM + 5 * HOUR):
        assert near(page.rows(at_ms, "line"), page.y(value(at_ms - STEP / 2)))


def test_a_gap_is_empty_shaded_and_says_its_reason(page: ChartPage) -> None:
    middle = (GAP[0] + GAP[1]) / 2 - 10 * STEP
    assert page.rows(middle, "line") == []
    # The mark below the plot.
    assert near(page.rows(middle, "off"), page.model("place.bottom") + 3)
    shaded = page.run(PIXEL, page.x(middle), page.y(33.3))
    plain = page.run(PIXEL, page.x(FROM + HOUR) + 5, page.y(33.3))
    assert shaded[3] > plain[3]
    page.point_to(middle).perform()
    page.until("document.querySelector('.chart-tip').textContent.includes('gap: node off')")
    assert "°C" not in page.run("return chart.tip.textContent")


def test_a_short_gap_is_marked_and_found_by_the_cursor(page: ChartPage) -> None:
    page.run("chart.gaps = [[arguments[0], arguments[0] + 100, 'off']]; chart.draw()", SPIKE)
    page.drawn()
    assert page.rows(SPIKE, "off")
    page.point_to(SPIKE).perform()
    page.until("document.querySelector('.chart-tip').textContent.includes('gap: node off')")
    assert "°C" in page.run("return chart.tip.textContent")


def test_a_spike_of_one_reading_is_seen_in_the_band(page: ChartPage) -> None:
    high = page.y(34)
    around = [page.x(SPIKE + STEP / 2) + dx for dx in (-1, 0, 1)]
    assert max(page.run(PIXEL, x, high)[3] for x in around) > 60
    assert page.run(PIXEL, page.x(SPIKE + 11 * STEP), high)[3] == 0


def test_limits_and_bands_are_lines(page: ChartPage) -> None:
    columns = [FROM + HOUR + n * STEP for n in range(30)]
    for level, name in ((30, "bad"), (18, "mild")):
        assert any(near(page.rows(at_ms, name), page.y(level)) for at_ms in columns), name


def test_the_cursor_shows_time_and_value(page: ChartPage) -> None:
    page.point_to(FROM + HOUR).perform()
    page.until("!document.querySelector('.chart-tip').hidden")
    lines = page.run("return chart.tip.textContent").split("\n")
    assert len(lines) == 3
    assert lines[1] == f"Air {value(page.model('cursor.time') - STEP / 2):.1f} °C"
    assert "in 30 readings" in lines[2]
    assert abs(page.model("cursor.time") - (FROM + HOUR)) <= STEP


def test_dragging_zooms_to_what_was_dragged_over(page: ChartPage) -> None:
    wanted = FROM + HOUR, FROM + 2 * HOUR
    end = round(page.x(wanted[1]) - page.x(wanted[0]))
    page.point_to(wanted[0]).click_and_hold().move_by_offset(end, 0).release().perform()
    pixel = 6 * HOUR / 1000
    assert page.range == pytest.approx(wanted, abs=2 * pixel)
    (last,) = page.run("return ranges.slice(-1)")
    assert last == [*page.range, True]


def test_a_click_does_not_zoom_and_a_double_click_resets(page: ChartPage) -> None:
    page.point_to(FROM + HOUR).click().perform()
    assert page.range == (FROM, TO)
    page.point_to(FROM + HOUR).double_click().perform()
    assert page.run("return resets") == 1


def test_the_wheel_zooms_around_the_pointer(page: ChartPage) -> None:
    at_ms = FROM + HOUR
    at_x = page.x(at_ms)
    origin = ScrollOrigin.from_element(page.area, round(at_x - page.area.size["width"] / 2), 0)
    ActionChains(page.driver, duration=0).scroll_from_origin(origin, 0, -300).perform()
    page.until("ranges.some(([, , isFinal]) => isFinal)")
    begin, end = page.range
    assert 0 < end - begin < 5 * HOUR
    assert page.x(at_ms) == pytest.approx(at_x, abs=2)


def test_keys_move_the_cursor_and_zoom(page: ChartPage) -> None:
    page.run("document.getElementById('chart').focus()")
    keys = page.area.send_keys
    keys(Keys.HOME)
    first = page.model("cursor.time")
    assert first == FROM + STEP / 2
    keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.model("cursor.time") == first + 2 * STEP
    assert "°C" in page.run("return chart.spoken.textContent")
    keys("+")
    begin, end = page.range
    assert end - begin == 3 * HOUR
    keys("-")
    assert page.range == pytest.approx((FROM, TO))
    keys(Keys.PAGE_DOWN)
    assert page.range == pytest.approx((FROM + 3 * HOUR, TO + 3 * HOUR))
    keys("0", Keys.ESCAPE)
    assert page.run("return [resets, chart.cursor]") == [1, None]


def test_two_fingers_zoom_and_one_shows_a_value(page: ChartPage) -> None:
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    page.until("chart.width === 390")
    page.drawn()
    touch(page.driver, ((200, 150), (240, 152)))
    page.until("chart.cursor !== null")
    assert page.range == (FROM, TO)
    times = [page.run("return chart.timeAt(arguments[0])", x) for x in (180, 240)]
    touch(page.driver, ((180, 150), (90, 150)), ((240, 150), (330, 150)))
    page.until("ranges.some(([, , isFinal]) => isFinal)")
    page.drawn()
    begin, end = page.range
    assert end - begin == pytest.approx(1.5 * HOUR, rel=0.05)
    assert [page.x(at) for at in times] == pytest.approx([90, 330], abs=3)


def test_a_new_reading_arrives_at_the_right_edge(page: ChartPage) -> None:
    page.run("chart.append(0, arguments[0], 25)", TO)
    page.run("chart.setRange(...arguments)", FROM + HOUR, TO + HOUR // 60)
    page.drawn()
    assert page.model("series[0].times.slice(-1)[0]") == TO
    heights = page.rows(TO, "line")
    assert heights
    assert min(heights) == pytest.approx(page.y(25), abs=4)


def test_points_that_are_no_longer_shown_are_dropped_together(page: ChartPage) -> None:
    length = "chart.series[0].times.length"
    first = "chart.series[0].times[0]"
    before = page.until(length)
    page.driver.execute_script(f"chart.dropBefore({FROM + 50 * STEP})")
    assert page.until(length) == before
    page.driver.execute_script(f"chart.dropBefore({FROM + 110 * STEP})")
    assert page.until(f"{first} >= {FROM + 110 * STEP} && {first} < {FROM + 112 * STEP}")
    columns = "['means', 'lows', 'highs', 'counts', 'joined']"
    assert page.until(f"{columns}.every((name) => chart.series[0][name].length === {length})")


def test_points_that_are_no_neighbours_are_not_joined(page: ChartPage) -> None:
    page.run("chart.append(0, arguments[0], 25)", TO + HOUR)
    page.run("chart.setRange(...arguments)", FROM, TO + HOUR)
    page.drawn()
    assert page.rows(TO + HOUR // 2, "line") == []


def test_a_second_series_has_its_own_axis(page: ChartPage) -> None:
    page.run(
        "chart.show({series: [series, {label: 'Load', unit: '%', joinMs: 1e9, format: String,"
        " points: series.points.map(([at]) => [at, 90, 90, 90, 1])}], gaps: chart.gaps})"
    )
    page.drawn()
    assert page.model("place.scales.map((scale) => scale.unit)") == ["°C", "%"]
    level = page.run("return chart.place.scales[1].y(90)")
    assert near(page.rows(FROM + HOUR, "second"), level)
    page.point_to(FROM + HOUR).perform()
    page.until("chart.tip.textContent.includes('Load 90')")


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        (20.0, 24.0, "20", "24"),
        (3.2, 3.3, "3.20", "3.30"),
        (1e9, 3e9, "0", "3e+9"),
        (1e12, 1e12 + 4000, "9.96e+11", "1.004e+12"),
        # Where a step between two ticks is lost beside the value, the axis is wider.
        (9e15, 9e15 + 1, "8.96e+15", "9.04e+15"),
        (-1e-9, 0.0, "-1e-9", "0"),
        (1e-300, 3e-300, "1e-300", "3e-300"),
    ],
)
def test_an_axis_has_a_few_short_texts_whatever_the_values(
    page: ChartPage, low: float, high: float, first: str, last: str
) -> None:
    page.run(
        "chart.show({series: [{label: 'Any', unit: '', joinMs: 1e9, format: String,"
        " points: [...arguments].map((value, i) => [chart.from + 1e6 * i, value, value, value, 1])"
        "}]})",
        low,
        high,
    )
    page.drawn()
    texts = page.model("place.scales[0].ticks.map(([, text]) => text)")
    assert (texts[0], texts[-1]) == (first, last)
    assert len(texts) == len(set(texts)) <= 11


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_a_chart_is_sharp_on_every_screen_and_follows_its_size(page: ChartPage, ratio: int) -> None:
    screen = {"width": 700, "height": 800, "deviceScaleFactor": ratio, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    page.until("chart.width === document.getElementById('chart').clientWidth && chart.width <= 700")
    page.until("chart.canvases[0].width === Math.round(chart.width * arguments[0])", ratio)
    assert near(page.rows(FROM + HOUR, "line"), page.y(value(FROM + HOUR - STEP / 2)))


def test_colours_follow_the_preferred_scheme(page: ChartPage) -> None:
    colours = []
    for scheme in ("dark", "light"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        page.run("chart.draw()")
        page.drawn()
        colours.append(page.run("return chart.color('line')"))
        assert near(page.rows(FROM + HOUR, "line"), page.y(value(FROM + HOUR - STEP / 2)))
    assert colours[0] != colours[1]


def test_the_picture_is_a_png_and_the_table_has_what_is_shown(page: ChartPage) -> None:
    picture = page.driver.execute_async_script(
        "const done = arguments[0]; chart.toPng().then((blob) => { const reader = new FileReader();"
        " reader.onload = () => done(reader.result); reader.readAsDataURL(blob); })"
    )
    assert base64.b64decode(picture.partition(",")[2]).startswith(b"\x89PNG")
    page.run("chart.setRange(arguments[0], arguments[1])", FROM + HOUR, FROM + HOUR + 10 * STEP)
    rows = page.model("toCsv()").split("\r\n")
    assert rows[0] == "time,series,mean,least,greatest,readings"
    assert len(rows) == 11
    assert rows[1].startswith(f'{iso_8601(FROM + HOUR + STEP // 2)},"Air",')


def test_a_chart_says_in_words_what_it_shows(page: ChartPage) -> None:
    said = page.run("return chart.summary.textContent")
    assert "Air: least 14.5 °C" in said
    assert "greatest 40.0 °C" in said
    assert "Gaps: 1 (node off)." in said


def test_ten_thousand_points_are_drawn_as_no_more_than_two_a_pixel(page: ChartPage) -> None:
    sizes = page.run(MANY, FROM)
    runs, points, width, low, high = sizes
    assert runs == 1
    assert points <= 2 * width + 2
    assert (low, high) == (-9999, 9999)


@pytest.mark.parametrize(
    ("day", "hours", "early"),
    [
        ("2026-06-01T00:00:00+02:00", 24, ["02:00", "04:00"]),
        # The clock goes forward, two o'clock is skipped; and back.
        ("2026-03-29T00:00:00+01:00", 23, ["03:00", "04:00"]),
        ("2026-10-25T00:00:00+02:00", 25, ["02:00", "04:00"]),
    ],
)
def test_times_of_the_axis_are_round_where_the_clock_is_changed(
    url: str, browser: Chrome, day: str, hours: int, early: list[str]
) -> None:
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Berlin"})
    try:
        browser.get(f"{url}/frame/unrendered.html")
        from_ms = datetime.fromisoformat(day).timestamp() * 1000
        ticks = browser.execute_async_script(TICKS, from_ms, from_ms + hours * HOUR - 1, 13)
    finally:
        browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})
        browser.get("about:blank")
    labels = [label for _, label, _ in ticks]
    assert labels[1:] == early + [f"{hour:02}:00" for hour in range(6, 24, 2)]
    # The first one begins a day.
    assert ticks[0][2]


@pytest.mark.parametrize("days", [1, 3, 10, 40, 100, 365, 730, 2000])
def test_an_axis_has_a_few_times_at_every_range(page: ChartPage, days: int) -> None:
    to_ms = FROM + days * 24 * HOUR
    ticks = page.driver.execute_async_script(TICKS, FROM, to_ms, 12)
    assert 3 <= len(ticks) <= 13
    assert [at for at, _, _ in ticks] == sorted(at for at, _, _ in ticks)
