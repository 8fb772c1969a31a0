"""Overview of many nodes in a real browser: areas, tiles, filter, attention and the last day."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bus.clock import now_ms
from bus.contract.description import About
from bus.contract.messages import Alarm, Leds, PluginState, Reading, Status
from bus.contract.topics import Topic, TopicKind
from hub_app.history.query.known_names import FILE_NAME
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.hub_process import KEEPS_ALARMS
from tests.hub_app.page.browser import Page, browser_of_2020, complaints
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status

NODES = 13
AREAS = ("Attic", "Cellar", "")
SENSOR = "dht22-gpio4"
DAY_MS = 86_400_000
STEP_MS = 600_000
VISIBLE = "[...document.querySelectorAll('.group:not([hidden])')].map(each => each.dataset.group)"
TITLES = "[...document.querySelectorAll('summary h2')].map(each => each.textContent)"
LINES = "[...document.querySelectorAll('#attention li')].map(each => each.textContent)"
RIGHT_EDGE = (
    "((selector) => Math.max(...[...document.querySelectorAll(selector)]"
    ".map(each => each.getBoundingClientRect().right)))"
)
NOTE_STREAMS = """
window.streams = [];
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(path) { super(path); streams.push(path); }
};
"""
COUNTER = "document.getElementById('attention-count')"


def quiet(state: Literal["online", "offline"] = "online") -> Status:
    """Return the status of a node that may be silent for hours."""
    return msgspec.structs.replace(status(state), interval_s=3600.0)


def topic_of(node: str) -> Topic:
    return Topic(node, TopicKind.READING, SENSOR)


def write_day(state_dir: Path) -> None:
    """Write a day of the first node, from 10 to 20 degrees, into the history of a hub."""
    state_dir.mkdir(mode=0o700)
    end_ms = now_ms()
    stamps = range(end_ms - DAY_MS + STEP_MS, end_ms, STEP_MS)
    readings = [
        Reading("n0", SENSOR, at_ms, "s", seq, {"temperature": 10 + 10 * seq / (len(stamps) - 1)})
        for seq, at_ms in enumerate(stamps)
    ]
    with contextlib.closing(open_history(state_dir / FILE_NAME)) as db:
        Writer(db).store([Arrival(each, False) for each in readings], [], end_ms)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("overview")
    write_day(directory / "state")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEEPS_ALARMS, "yes")
        yield from hub_of_boards(directory)


def hub_of_boards(directory: Path) -> Iterator[HubProcess]:
    with running_hub(directory) as running:
        for number in range(NODES):
            node = f"n{number}"
            area = AREAS[number % len(AREAS)]
            running.publish(Topic(node, TopicKind.STATUS), quiet())
            about = About(f"Board {number}", area, "", "", "", "", {}, {})
            running.publish(Topic(node, TopicKind.ABOUT), about)
            running.publish(Topic(node, TopicKind.SENSOR, SENSOR), description_of(SENSOR))
            values = {"temperature": 20.0 + number, "humidity": 50.0}
            running.publish(*reading(now_ms(), node=node, **values))
        running.publish(Topic("n1", TopicKind.LEDS), Leds(["#ff0000"]))
        running.publish(Topic("n1", TopicKind.LOG), log("a line of the log"))
        yield running


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Iterator[Page]:
    browser.get(hub.url)
    opened = Page(browser)
    opened.until("document.querySelector('[data-state=live]') !== null")
    yield opened
    browser.execute_script("localStorage.clear()")
    assert complaints(browser) == []
    browser.get("about:blank")


def test_many_nodes_are_grouped_by_area_and_keep_their_panels_elsewhere(
    hub: HubProcess, page: Page
) -> None:
    page.until(f"{TITLES}.join() === 'Attic,Cellar,No area'")
    page.until(f"{VISIBLE}.length === {NODES}")
    html = hub.http.get("/").text
    assert html.count("data-group=") == NODES
    for absent in ("a line of the log", "circle", "data-plugin="):
        assert absent not in html
    # The values are there before any script runs.
    assert '<span class="value">31.0</span>' in html


def test_a_new_reading_is_shown_in_its_tile_with_its_age(hub: HubProcess, page: Page) -> None:
    topic, first = reading(now_ms(), 7, node="n2", stream="new", temperature=3.26, humidity=50.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "3.3")
    tile = f"document.querySelector('[data-topic=\"{topic}\"]')"
    page.until(f"Number({tile}.dataset.at) >= {first.timestamp_ms}")


def test_a_browser_gets_no_logs_and_outputs_that_it_does_not_show(
    hub: HubProcess, page: Page
) -> None:
    noted = page.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_STREAMS}
    )
    try:
        page.driver.refresh()
        page.until("document.querySelector('[data-state=live]') !== null")
        assert page.driver.execute_script("return window.streams") == ["/events?view=overview"]
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", noted)


def test_an_area_stays_folded(hub: HubProcess, page: Page) -> None:
    page.driver.find_element(By.CSS_SELECTOR, "[data-area=Attic] > summary").click()
    page.until("localStorage.getItem('harvester.folded') === '[\"Attic\"]'")
    page.driver.refresh()
    page.until("document.querySelector('[data-state=live]') !== null")
    page.until("!document.querySelector('[data-area=Attic]').open")
    assert page.driver.execute_script("return document.querySelector('[data-area=Cellar]').open")


def test_the_filter_finds_areas_nodes_and_sensors_by_keyboard(hub: HubProcess, page: Page) -> None:
    page.driver.find_element(By.CSS_SELECTOR, "[data-area=Attic] > summary").click()
    page.driver.find_element(By.TAG_NAME, "body").send_keys("/")
    box = page.driver.switch_to.active_element
    assert box.accessible_name == "Filter by area, node or sensor"
    box.send_keys("board 11")
    page.until(f"{VISIBLE}.join() === 'n11'")
    box.clear()
    box.send_keys("ATTIC dht22")
    # A folded area shows what was found.
    page.until(f"{VISIBLE}.join() === 'n0,n3,n6,n9,n12'")
    assert page.driver.execute_script("return document.querySelector('[data-area=Attic]').open")
    box.send_keys(" nowhere")
    page.until("document.getElementById('nothing-found').hidden === false")
    box.send_keys(Keys.CONTROL, "a", Keys.BACK_SPACE)
    page.until(f"{VISIBLE}.length === {NODES}")
    page.until("!document.querySelector('[data-area=Attic]').open")


def test_what_needs_attention_comes_first_and_is_counted(hub: HubProcess, page: Page) -> None:
    page.until(f"{COUNTER}.hidden && document.title === 'HARVESTER'")
    alarm = Alarm("critical", "Too warm", NOW_MS, 31.0, 30.0, False, "warm", SENSOR, "temperature")
    hub.publish(Topic("n4", TopicKind.STATUS), quiet("offline"))
    hub.publish(Topic("n5", TopicKind.PLUGIN, "oled"), PluginState("failed", "", NOW_MS, 1, "x"))
    hub.publish(Topic("n6", TopicKind.ALARM, "warm"), alarm)
    page.until("document.title === '(3) HARVESTER'")
    page.until(f"{COUNTER}.textContent === '3 need attention'")
    lines = page.driver.execute_script(f"return {LINES}")
    assert [line[:7] for line in lines] == ["Board 4", "Board 6", "Board 5"]
    assert "Too warm" in lines[1]
    href = page.driver.execute_script(
        "return document.querySelectorAll('#attention li a')[1].getAttribute('href')"
    )
    assert href == f"/sensor/n6/{SENSOR}"
    page.until(f"document.querySelector('[data-topic=\"{topic_of('n6')}\"]').dataset.severity")
    page.until("document.getElementById('announcement').textContent.includes('Too warm')")
    # Without scripts the same is there, once the page that the browser had is not used again.
    until(hub, "/", "<title>(3) HARVESTER</title>")
    assert "plugin oled failed" in hub.http.get("/").text
    acknowledged = Alarm(
        "critical", "Too warm", NOW_MS, 31.0, 30.0, True, "warm", SENSOR, "temperature"
    )
    hub.publish(Topic("n6", TopicKind.ALARM, "warm"), acknowledged)
    hub.publish(Topic("n4", TopicKind.HEARTBEAT), heartbeat(now_ms()))
    hub.publish(Topic("n5", TopicKind.PLUGIN, "oled"), PluginState("running", "", NOW_MS, 1))
    page.until("document.title === 'HARVESTER'")
    page.until(f"{LINES}.length === 1")
    hub.bus.publish(Topic("n6", TopicKind.ALARM, "warm"), b"")
    page.until("document.getElementById('attention').hidden")


def test_every_view_counts_what_needs_attention_in_header_and_title(
    hub: HubProcess, page: Page
) -> None:
    failed = Topic("n5", TopicKind.PLUGIN, "oled")
    hub.publish(failed, PluginState("failed", "", NOW_MS, 1, "x"))
    paths = ("/alarms", "/log", "/system", "/node/n2", f"/sensor/n2/{SENSOR}", "/node/nowhere")
    for path in paths:
        until(hub, path, "<title>(1) ")
        until(hub, path, 'href="/#attention">1 needs attention</a>')
    for path in paths[:-1]:
        page.driver.get(hub.url + path)
        page.until("document.querySelector('[data-state=live]') !== null")
        page.until(f"{COUNTER}.textContent === '1 needs attention'")
        state: Literal["online", "offline"]
        for state, text in (("offline", "2 need attention"), ("online", "1 needs attention")):
            hub.publish(Topic("n9", TopicKind.STATUS), quiet(state))
            page.until(f"{COUNTER}.textContent === '{text}'")
            page.until(f"document.title.startsWith('({text[0]}) ')")
        page.until("document.getElementById('announcement').textContent.includes('n9: node')")
    hub.publish(failed, PluginState("running", "", NOW_MS, 1))
    page.until(f"{COUNTER}.hidden && !document.title.startsWith('(')")


def test_a_tile_in_view_draws_its_last_day_with_least_and_greatest(
    hub: HubProcess, page: Page
) -> None:
    spark = f"document.querySelector('[data-spark-of=\"n0:{SENSOR}\"]')"
    page.until(f"{spark}.querySelectorAll('path').length === 2")
    texts = f"[...{spark}.querySelectorAll('p > span')].map(each => each.textContent).join()"
    page.until(f"{texts} === 'greatest 20.0,least 10.0'")
    # It rises from the lower left to the upper right.
    ends = page.driver.execute_script(
        f"const line = {spark}.querySelectorAll('path')[1];"
        "const end = line.getPointAtLength(line.getTotalLength());"
        "const start = line.getPointAtLength(0);"
        "return [start.x, start.y, end.x, end.y]"
    )
    assert ends[0] < 5
    assert ends[1] > 28
    assert ends[2] > 115
    assert ends[3] < 4


@pytest.fixture
def phone(page: Page) -> Iterator[Page]:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.driver.refresh()
    page.until("document.querySelector('[data-state=live]') !== null")
    yield page
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_phone_folds_areas_into_lines_with_their_range_and_their_worst_state(
    hub: HubProcess, phone: Page
) -> None:
    open_areas = "document.querySelectorAll('.area-fold[open]').length"
    attic = "document.querySelector('[data-area=Attic]')"
    phone.until(f"{open_areas} === 0")
    phone.until(f"{attic}.querySelector('.area-range').textContent.startsWith('Temperature ')")
    phone.until(f"{attic}.querySelector('summary').getBoundingClientRect().height >= 44")
    failed = Topic("n3", TopicKind.PLUGIN, "oled")
    hub.publish(failed, PluginState("failed", "", NOW_MS, 1, "x"))
    worst = f"{attic}.querySelector('.area-worst')"
    phone.until(f"{worst}.textContent === '1 needs attention' && {worst}.dataset.worst")
    until(hub, "/", 'class="area-worst" data-worst="warning">1 needs attention')
    hub.publish(failed, PluginState("running", "", NOW_MS, 1))
    phone.until(f"{worst}.hidden")
    phone.driver.find_element(By.ID, "fold-all").click()
    phone.until(f"{open_areas} === {len(AREAS)}")
    phone.driver.refresh()
    phone.until(f"{open_areas} === {len(AREAS)}")


@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_tiles_fit_every_screen_and_are_short_on_a_phone(
    hub: HubProcess, page: Page, width: int
) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.until("document.documentElement.scrollWidth <= arguments[0]", width)
        if width > 500:
            # The rightmost card ends where the page does.
            page.until(f"{RIGHT_EDGE}(['main']) - {RIGHT_EDGE}(['.group']) < 2")
        else:
            tall = "document.querySelector('.group').getBoundingClientRect().height"
            page.until(f"44 <= {tall} && {tall} < 100")
            # The head of a node is within its card.
            page.until(
                "[...document.querySelectorAll('.group > header')].every(head => {"
                "  const own = head.getBoundingClientRect();"
                "  const card = head.parentElement.getBoundingClientRect();"
                "  return card.left <= own.left && own.right <= card.right && card.top <= own.top;"
                "})"
            )
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_browser_of_2020_shows_the_tiles(hub: HubProcess, browser: Chrome) -> None:
    with browser_of_2020(browser):
        browser.get(hub.url)
        page = Page(browser)
        page.until("document.querySelector('[data-state=live]') !== null")
        topic, newer = reading(now_ms(), 8, node="n7", stream="new", temperature=4.5, humidity=50.0)
        hub.publish(topic, newer)
        page.until_field(str(topic), "temperature", "4.5")
        assert complaints(browser) == []
    browser.get("about:blank")
