"""The sensor view in a real browser, on a history with a known sine, a gap and a spike."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from bus.clock import now_ms
from bus.contract.description import About, SettingDescription
from bus.contract.messages import Backlog, PluginState, Reading
from bus.contract.topics import Topic, TopicKind
from hub_app.http.formats.query_params import iso_8601
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import named_node, setting_node, until
from tests.hub_app.page.browser import browser_of_2020, complaints
from tests.hub_app.page.gestures import touch
from tests.hub_app.page.sensor_page import CHART, SensorPage, phone
from tests.hub_app.page.sine import DAY_MS, HOUR_MS, NODE, SENSOR, Sine

PATH = f"/sensor/{NODE}/{SENSOR}"
TOPIC = Topic(NODE, TopicKind.READING, SENSOR)
OTHER = "cellar", "dht22-other"
RANGES = {"1h": HOUR_MS, "24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "1y": 365 * DAY_MS}

# Rows, and those with the colour of the line, of a column of the chart between two values.
LINE = f"""
const chart = {CHART};
const {{canvases: [canvas], place, width}} = chart;
const ratio = canvas.width / width;
const [at, low, high] = arguments;
const {{y, low: least, high: most}} = place.scales[0];
const [top, bottom] = [y(high ?? most), y(low ?? least)].map((each) => Math.ceil(each * ratio));
const probe = document.createElement("canvas").getContext("2d");
probe.fillStyle = chart.color("line");
probe.fillRect(0, 0, 1, 1);
const want = probe.getImageData(0, 0, 1, 1).data;
const left = Math.floor((place.x(at) - 1) * ratio);
const {{data}} = canvas.getContext("2d").getImageData(left, top, 3, bottom - top);
const isNear = (i, k) => Math.abs(data[i + k] - want[k]) < 40;
const isLine = (i) => data[i + 3] > 40 && [0, 1, 2].every((k) => isNear(i, k));
let found = 0;
for (let row = 0; row < data.length; row += 12) {{
  if ([0, 4, 8].some((dot) => isLine(row + dot))) found++;
}}
return [bottom - top, found];
"""
# Whether the colour of gaps is seen below the plot at a time.
MARK = f"""
const chart = {CHART};
const {{canvases: [canvas], place, width}} = chart;
const ratio = canvas.width / width;
const probe = document.createElement("canvas").getContext("2d");
probe.fillStyle = chart.color("off");
probe.fillRect(0, 0, 1, 1);
const want = probe.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
const dots = canvas.getContext("2d").getImageData(
  Math.floor((place.x(arguments[0]) - 2) * ratio), (place.bottom + 3) * ratio, 5, 1).data;
return [0, 1, 2, 3, 4].some((i) => dots.slice(4 * i, 4 * i + 3).join() === want);
"""


@pytest.fixture(scope="module")
def sine() -> Sine:
    return Sine(now_ms())


@pytest.fixture(scope="module")
def frost() -> Sine:
    """A sine of another node, whose spike is below and whose gap began in another bucket."""
    ago_ms = 20 * HOUR_MS + 7 * 60_000
    return Sine(now_ms(), "shed2", middle=4, swing=1, spike=-30, gap_ended_ago_ms=ago_ms)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, sine: Sine, frost: Sine) -> Iterator[HubProcess]:
    """A hub with the history of two sines; another sensor is only live."""
    directory = tmp_path_factory.mktemp("sine")
    sine.write(directory / "state")
    frost.write(directory / "state")
    with running_hub(directory) as running:
        described = description_of(SENSOR, "Living room", "Ground floor")
        running.publish(Topic(NODE, TopicKind.SENSOR, SENSOR), described)
        publish(running, sine.value(now_ms()))
        running.publish(Topic(frost.node, TopicKind.SENSOR, SENSOR), described)
        data = {"temperature": frost.value(now_ms())}
        frosty = Reading(frost.node, SENSOR, now_ms(), "live", 1, data)
        running.publish(Topic(frost.node, TopicKind.READING, SENSOR), frosty)
        other = Reading(*OTHER, now_ms(), "live", 1, {"temperature": 12.0})
        running.publish(Topic(OTHER[0], TopicKind.READING, OTHER[1]), other)
        running.publish(
            Topic(OTHER[0], TopicKind.SENSOR, OTHER[1]), description_of(OTHER[1], "Cellar")
        )
        until(running, f"/api/history?sensor={':'.join(OTHER)}", '"points":[[')
        until(running, "/api/sensors", "Cellar")
        yield running


_seq = iter(range(1_000_000))


def publish(hub: HubProcess, temperature: float) -> int:
    """Publish a reading; return its time."""
    at_ms = now_ms()
    data = {"temperature": temperature, "humidity": 50.0}
    hub.publish(TOPIC, Reading(NODE, SENSOR, at_ms, "live", next(_seq), dict(data)))
    return at_ms


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Iterator[SensorPage]:
    yield SensorPage(browser)
    said = complaints(browser)
    browser.get("about:blank")
    assert said == []


@pytest.mark.parametrize("which", ["sine", "frost"])
@pytest.mark.parametrize("name", RANGES)
def test_gap_reason_and_spike_are_seen_at_every_range(
    hub: HubProcess, page: SensorPage, request: pytest.FixtureRequest, name: str, which: str
) -> None:
    sine: Sine = request.getfixturevalue(which)
    # All of it is in the range; an hour shows the end of the gap.
    to_ms = min(sine.spike_ms + RANGES[name] // 2, sine.to_ms)
    span = {"from": iso_8601(to_ms - RANGES[name]), "to": iso_8601(to_ms)}
    page.open(hub, f"/sensor/{sine.node}/{SENSOR}", **span)
    assert page.run(f"return {CHART}.gaps.map((gap) => gap[2])") == ["off"]
    in_gap = sine.gap_to_ms - 15 * 60_000
    assert page.run(MARK, in_gap)
    assert not page.run(MARK, sine.gap_to_ms + RANGES[name] // 20)
    # Nothing is drawn where the gap is wider than the lines beside it.
    ends = page.run(f"const {{place: {{x}}}} = {CHART}; return arguments[0].map(x)", sine.gap)
    if ends[1] - ends[0] > 6:
        # The borders of bands may have the colour of the line.
        middle = max(sum(sine.gap) / 2, to_ms - RANGES[name] + 5 * 60_000)
        assert page.run(LINE, middle)[1] <= 3
    after_ms, before_ms = sine.spike_ms + 15 * 60_000, sine.gap_from_ms - RANGES[name] // 50
    assert page.run(LINE, after_ms if name == "1h" else before_ms)[1] > 0
    page.run(f"{CHART}.moveCursor(arguments[0])", in_gap)
    assert "gap: node off" in page.run(f"return {CHART}.tip.textContent")
    # The spike is the extreme of its point, and the band reaches up or down to it.
    is_high = sine.spike > sine.middle
    edge = page.run(f"return {CHART}.series[0].{'highs' if is_high else 'lows'}")
    assert (max(edge) if is_high else min(edge)) == sine.spike
    point = page.run(f"return {CHART}.series[0].nearest(arguments[0])", sine.spike_ms)
    assert sine.spike in edge[max(0, point - 1) : point + 2]
    at_ms = page.run(f"return {CHART}.series[0].times[arguments[0]]", edge.index(sine.spike))
    # Its tip, which is as wide as one sample.
    tip = [sine.middle + (sine.spike - sine.middle) * part for part in (0.9, 0.97)]
    rows, found = page.run(LINE, at_ms, min(tip), max(tip))
    assert rows > 8
    assert found > rows / 2


@pytest.mark.parametrize("name", ["24h", "7d"])
def test_the_line_follows_the_sine_and_is_broken_by_the_gap(
    hub: HubProcess, page: SensorPage, sine: Sine, name: str
) -> None:
    to_ms = sine.to_ms
    page.open(hub, PATH, **{"from": iso_8601(to_ms - RANGES[name]), "to": iso_8601(to_ms)})
    series = page.run(f"const {{times, means}} = {CHART}.series[0]; return [times, means]")
    for at_ms, mean in zip(*series, strict=True):
        if abs(at_ms - sine.spike_ms) > HOUR_MS:
            assert mean == pytest.approx(sine.value(at_ms), abs=0.1)
    middle = (sine.gap_from_ms + sine.gap_to_ms) / 2
    runs = page.run(
        f"const chart = {CHART};"
        "return [...chart.series[0].runs(chart.from, chart.to, 1)]"
        ".map(({times}) => [times[0], times[times.length - 1]])"
    )
    assert not any(first < middle < last for first, last in runs)


def test_buttons_choose_the_range_and_the_address_carries_it(
    hub: HubProcess, page: SensorPage
) -> None:
    page.open(hub, PATH)
    for name, span in RANGES.items():
        page.driver.find_element(By.CSS_SELECTOR, f"[data-range='{name}']").click()
        page.until("location.search === arguments[0]", f"?range={name}")
        begin, end = page.range
        assert end - begin == span
    page.driver.back()
    page.until("location.search === '?range=30d'")
    page.until(f"{CHART}.to - {CHART}.from === arguments[0]", RANGES["30d"])
    page.until(f"{CHART}.series[0].times.length > 500")
    page.driver.refresh()
    page.until("document.querySelector('[data-range=\"30d\"][aria-pressed=true]') !== null")


def test_a_sensor_younger_than_an_hour_opens_on_an_hour_and_others_on_a_day(
    hub: HubProcess, page: SensorPage
) -> None:
    page.open(hub, f"/sensor/{OTHER[0]}/{OTHER[1]}")
    page.until(f"{CHART}.to - {CHART}.from === arguments[0]", HOUR_MS)
    assert page.run("return location.search") == ""
    page.driver.find_element(By.CSS_SELECTOR, "[data-range='24h']").click()
    page.until(f"{CHART}.to - {CHART}.from === arguments[0]", DAY_MS)
    page.driver.back()
    page.until(f"{CHART}.to - {CHART}.from === arguments[0]", HOUR_MS)
    page.open(hub, PATH)
    page.until(f"{CHART}.series[0].times.length > 100")
    # At once: the chart moves on with time.
    begin, end = page.range
    assert end - begin == DAY_MS


def test_dragging_zooms_in_and_back_shows_what_was(
    hub: HubProcess, page: SensorPage, sine: Sine
) -> None:
    page.open(hub, PATH, **{"from": iso_8601(sine.to_ms - DAY_MS), "to": iso_8601(sine.to_ms)})
    before = page.range
    chain = ActionChains(page.driver, duration=0).move_to_element(page.area)
    chain.click_and_hold().move_by_offset(200, 0).release().perform()
    page.until(f"{CHART}.to - {CHART}.from < arguments[0]", DAY_MS / 2)
    begin, end = page.range
    assert before[0] < begin < end < before[1]
    assert iso_8601(round(begin))[:16] in page.run("return decodeURIComponent(location.search)")
    # A shorter range has more detail.
    page.until(f"{CHART}.series[0].bucketMs === undefined && {CHART}.series[0].joinMs < 4 * 60000")
    page.driver.back()
    page.until(f"{CHART}.from === arguments[0]", before[0])


def test_a_free_range_is_typed(hub: HubProcess, page: SensorPage, sine: Sine) -> None:
    page.open(hub, PATH)
    page.run(
        "const {from, to} = document.getElementById('ranges').elements;"
        "from.value = '2026-01-02T03:04'; to.value = '2026-01-03T03:04';"
        "document.querySelector('.free button').click()"
    )
    page.until(f"{CHART}.to - {CHART}.from === arguments[0]", DAY_MS)
    page.until("location.search.startsWith('?from=2026-01-0')")


def test_fingers_zoom_on_a_phone_and_nothing_is_wider_than_it(
    hub: HubProcess, page: SensorPage
) -> None:
    with phone(page):
        page.open(hub, PATH)
        assert page.run("return document.documentElement.scrollWidth") <= 390
        page.run("document.querySelector('.chart').scrollIntoView({block: 'center'})")
        box = page.run(
            "const {top, height} = document.querySelector('.chart').getBoundingClientRect();"
            "return [top, height]"
        )
        y = box[0] + box[1] / 2
        touch(page.driver, ((150, y), (110, y)), ((230, y), (270, y)))
        page.until(f"{CHART}.to - {CHART}.from < arguments[0]", 0.7 * DAY_MS)
        page.until("location.search !== ''")
        touch(page.driver, ((150, y), (200, y)))
        page.until(f"{CHART}.cursor !== null && !{CHART}.tip.hidden")
        assert "\u00b0C" in page.run(f"return {CHART}.tip.textContent")


def test_new_readings_arrive_at_the_right_edge(hub: HubProcess, page: SensorPage) -> None:
    page.open(hub, PATH, range="1h")
    at_ms = publish(hub, 33.25)
    page.until_field(str(TOPIC), "temperature", "33.3")
    page.until(f"{CHART}.series[0].times.slice(-1)[0] === arguments[0]", at_ms)
    page.until(f"{CHART}.to >= arguments[0]", at_ms)
    # At once: the chart moves on with time.
    begin, end = page.range
    assert end - begin == HOUR_MS
    assert page.run(f"return {CHART}.series[0].means.slice(-1)[0]") == 33.25


def test_readings_of_a_late_backlog_appear_where_they_belong(
    hub: HubProcess, page: SensorPage
) -> None:
    began_ms = now_ms() - HOUR_MS // 2
    taken = [
        Reading("shed", SENSOR, began_ms + n * 10_000, "late", n, {"temperature": 20.0})
        for n in range(170)
    ]
    backlog = Topic("shed", TopicKind.BACKLOG)
    hub.publish(backlog, Backlog([*taken[:60], *taken[110:]]))
    hub.publish(Topic("shed", TopicKind.READING, SENSOR), taken[-1])
    until(hub, f"/api/history?sensor=shed:{SENSOR}&width=100", f"[[{taken[60].timestamp_ms},")
    page.open(hub, f"/sensor/shed/{SENSOR}", range="1h")
    inside = (
        f"{CHART}.series[0].times.filter((at) => at >= arguments[0] && at <= arguments[1]).length"
    )
    times = taken[60].timestamp_ms, taken[109].timestamp_ms
    # No more came after the last one, which is a gap, too.
    gaps = f"{CHART}.gaps.filter(([from]) => from <= arguments[1]).length"
    assert page.run(f"return [{inside}, {gaps}]", *times) == [0, 1]
    hub.publish(backlog, Backlog(taken[60:110]))
    history = f"/api/history?sensor=shed:{SENSOR}&width=10000&from={times[0]}&to={times[1]}"
    until(hub, history, f"[{taken[108].timestamp_ms},")
    page.driver.find_element(By.CSS_SELECTOR, "[data-range='1h']").click()
    page.until(f"{inside} === 50", *times)
    assert page.run(f"return {gaps}", *times) == 0


def test_another_sensor_is_compared(hub: HubProcess, page: SensorPage) -> None:
    page.open(hub, PATH)
    option = ":".join(OTHER)
    Select(page.driver.find_element(By.NAME, "compare")).select_by_value(option)
    page.until(f"{CHART}.series.length === 2")
    assert page.run(f"return {CHART}.series.map((each) => each.label)") == [
        "Living room",
        f"Cellar ({option})",
    ]
    page.until("new URLSearchParams(location.search).get('compare') === arguments[0]", option)
    at_ms = now_ms()
    reading = Reading(*OTHER, at_ms, "live", 2, {"temperature": 13.0})
    hub.publish(Topic(OTHER[0], TopicKind.READING, OTHER[1]), reading)
    page.until(f"{CHART}.series[1].times.slice(-1)[0] === arguments[0]", at_ms)
    page.driver.back()
    page.until(f"{CHART}.series.length === 1")


def test_a_sensor_of_another_unit_has_an_axis_of_its_own(hub: HubProcess, page: SensorPage) -> None:
    load = Topic("router", TopicKind.READING, "load")
    hub.publish(load, Reading("router", "load", now_ms(), "live", 1, {"percent": 61.0}))
    until(hub, "/api/history?sensor=router:load&width=100", '"points":[[')
    page.open(hub, PATH, compare="router:load", range="1h")
    page.until(f"{CHART}.series.length === 2")
    page.until(f"{CHART}.place.scales.length === 2")
    assert page.run(f"return {CHART}.series[1].means") == [61]


def test_a_field_that_comes_and_goes_gets_a_row_and_a_chart(
    hub: HubProcess, page: SensorPage
) -> None:
    node, title = "barn", 'Barn "2", <b>north</b>'
    topic = Topic(node, TopicKind.READING, SENSOR)

    def measure(**data: float) -> None:
        hub.publish(topic, Reading(node, SENSOR, now_ms(), "live", next(_seq), dict(data)))

    hub.publish(Topic(node, TopicKind.SENSOR, SENSOR), description_of(SENSOR, title))
    measure(temperature=8.0)
    until(hub, f"/api/history?sensor={node}:{SENSOR}&width=100", '"points":[[')
    page.open(hub, f"/sensor/{node}/{SENSOR}", range="1min")
    assert page.run("return document.getElementById('title').textContent") == title
    page.run("window.isSamePage = true")
    measure(temperature=8.0, draught=0.5)
    page.until_field(str(topic), "draught", "0.5")
    page.until("document.querySelector('[data-field-of=draught] .chart') !== null")
    measure(temperature=8.25)
    page.until_field(str(topic), "draught", "\u2013")
    measure(temperature=8.5, draught=0.75)
    page.until_field(str(topic), "draught", "0.75")
    assert page.run("return window.isSamePage")
    # The window of a minute is exactly what is exported.
    begin, end = page.range
    assert end - begin == 60_000
    rows = page.run(f"return {CHART}.toCsv()").split("\r\n")[1:]
    values = [float(row.split(",")[2]) for row in rows]
    assert values[-2:] == [8.25, 8.5]


def test_readings_of_a_clock_that_was_set_back_follow_one_that_was_ahead(
    hub: HubProcess, page: SensorPage
) -> None:
    page.open(hub, PATH, range="1h")
    ahead = Reading(NODE, SENSOR, now_ms() + HOUR_MS, "live", next(_seq), {"temperature": 27.0})
    hub.publish(TOPIC, ahead)
    at_ms = publish(hub, 22.5)
    page.until(f"{CHART}.series[0].times.slice(-1)[0] === arguments[0]", at_ms)


# Notes the address of each event stream.
NOTE_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource {
  constructor(url) { super(url); streams.push(url); }
};
"""


def test_the_browser_asks_for_this_sensor_alone(hub: HubProcess, page: SensorPage) -> None:
    noted = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_STREAMS}
    )
    try:
        page.open(hub, PATH, compare=":".join(OTHER))
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", noted)
    (address,) = page.run("return streams")
    query = {"view": "sensor", "node": NODE, "sensor": SENSOR, "compare": ":".join(OTHER)}
    assert address == f"/events?{urlencode(query)}"


def test_the_limit_of_an_alarm_is_a_line_and_the_alarm_is_said(
    hub: HubProcess, page: SensorPage
) -> None:
    rule = {"name": "too-warm", "field": "temperature", "above": 30, "severity": "critical"}
    assert hub.http.post("/api/alarms/rules", json=rule).status_code == 200
    page.open(hub, PATH)
    page.until(f"{CHART}.limits.length === 1")
    assert page.run(f"return {CHART}.limits[0]") == {
        "value": 30,
        "label": "too-warm",
        "tone": "bad",
    }
    # Beyond it, the alarm itself is said.
    publish(hub, 31.5)
    page.until("document.querySelector('#alarms [data-severity=critical]') !== null")
    assert "Living room" in page.driver.find_element(By.ID, "alarms").text
    publish(hub, 20.5)
    page.until("document.querySelector('#alarms li') === null")
    # Behind the number of what needs attention, here of the other nodes.
    title = "document.title.replace(/^\\([0-9]+\\) /, '')"
    page.until(f"{title} === '20.5 \u00b0C \u00b7 Living room'")
    hub.http.delete("/api/alarms/rules/too-warm")


def test_the_sensor_is_named_and_its_plugin_set(hub: HubProcess, page: SensorPage) -> None:
    actuators = {"names": ["sensor", "title", "area"]}
    about = About("", "", "", "", "", "", {}, actuators)
    hub.publish(Topic(NODE, TopicKind.ABOUT), about)
    until(hub, "/api/nodes", '"names"')
    described = {"high_c": SettingDescription("number", 30.0, "Too hot from", "\u00b0C", -40, 80)}
    state = PluginState("running", "", now_ms(), 0, settings={"high_c": 28.5}, described=described)
    hub.publish(Topic(NODE, TopicKind.PLUGIN, "dht22"), state)
    page.open(hub, PATH)
    page.until("!document.querySelector('[data-settings-of]').hidden")
    page.driver.find_element(By.CSS_SELECTOR, "[data-settings-of]").click()
    high = page.until_there("#settings-dialog[open] input[name=high_c]")
    with setting_node(hub, NODE) as commands:
        high.clear()
        high.send_keys("29")
        page.driver.find_element(By.CSS_SELECTOR, "#settings-dialog [value=save]").click()
    assert commands[0]["settings"] == {"high_c": 29}
    page.until_text("set done")
    page.driver.find_element(By.CSS_SELECTOR, "[data-name-of]").click()
    title = page.until_there("#name-dialog[open] input[name=title]")
    assert title.get_property("value") == "Living room"
    with named_node(hub, NODE) as names:
        title.clear()
        title.send_keys("Parlour")
        page.driver.find_element(By.CSS_SELECTOR, "#name-dialog [value=save]").click()
    assert names[0]["title"] == "Parlour"
    # The node says its new name, and the page shows it.
    hub.publish(Topic(NODE, TopicKind.SENSOR, SENSOR), description_of(SENSOR, "Parlour"))
    page.until("document.getElementById('title').textContent === 'Parlour'")


def test_a_fault_of_the_hub_is_said_and_the_charts_stay(hub: HubProcess, page: SensorPage) -> None:
    page.open(hub, PATH)
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/history*"]})
    try:
        page.driver.find_element(By.CSS_SELECTOR, "[data-range='7d']").click()
        page.until_text("The hub does not answer.")
        assert page.run(f"return {CHART}.series.length") == 1
    finally:
        page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.driver.find_element(By.CSS_SELECTOR, "[data-range='24h']").click()
    page.until("document.getElementById('history-fault').textContent === ''")


def test_a_browser_of_2020_draws_the_charts(hub: HubProcess, page: SensorPage) -> None:
    with browser_of_2020(page.driver):
        # Without `open`, whose asynchronous script the driver cannot run without `Object.hasOwn`.
        page.driver.get(f"{hub.url}{PATH}?range=7d")
        page.until("document.querySelector('.chart')?.chart.series.length > 0")
        assert page.run("return Object.hasOwn === undefined")
        assert page.run(f"return {CHART}.series[0].times.length") > 100
        at_ms = publish(hub, 21.75)
        page.until(f"{CHART}.series[0].times.slice(-1)[0] === arguments[0]", at_ms)
