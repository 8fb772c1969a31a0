import subprocess
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from broker.messages import Buzzer, Leds, Oled, PluginState, encode
from broker.topics import Kind, Topic
from tests.hub_app.conftest import HubProcess
from tests.hub_app.samples import heartbeat, log, reading, status
from tests.hub_app.test_http import buzzer_node
from tests.support import program

NASTY = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


class Page:
    """The page in a real browser, asked only through the DOM."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def until(self, script: str, *arguments: object) -> object:
        """Wait until a JavaScript expression is true; return what it gave."""
        waiting = WebDriverWait(self.driver, 10, 0.05)
        return waiting.until(lambda d: d.execute_script(f"return {script}", *arguments), script)

    def until_field(self, topic: str, field: str, text: str) -> None:
        selector = f'[data-topic="{topic}"] [data-field="{field}"] .value'
        self.until(
            "document.querySelector(arguments[0])?.textContent === arguments[1]", selector, text
        )

    def until_text(self, text: str) -> None:
        self.until("document.body.textContent.includes(arguments[0])", text)


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Iterator[Page]:
    browser.get(hub.url)
    opened = Page(browser)
    opened.until("document.querySelector('[data-state=live]') !== null")
    browser.execute_script("window.notReloaded = true")
    yield opened
    assert browser.execute_script("return window.notReloaded"), "the page was reloaded"
    # A refused command is logged by the browser itself; whatever else it has to say is a fault.
    assert [line for line in browser.get_log("browser") if line["source"] != "network"] == []
    browser.get("about:blank")


def test_a_published_reading_changes_the_page_without_reload(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w1", seq=1, temperature=20.0)
    hub.say(topic, first)
    page.until_field(str(topic), "temperature", "20.0")
    hub.say(*reading(first.timestamp_ms + 1, 2, node="w1", temperature=21.25))
    page.until_field(str(topic), "temperature", "21.3")


def test_a_field_that_appears_later_gets_its_place(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w2", seq=1, temperature=20.0)
    hub.say(topic, first)
    page.until_field(str(topic), "temperature", "20.0")
    hub.say(*reading(first.timestamp_ms + 1, 2, node="w2", temperature=20.0, gas_resistance=50.5))
    page.until_field(str(topic), "gas_resistance", "50.5")
    hub.say(*reading(first.timestamp_ms + 2, 3, node="w2", temperature=20.0))
    page.until_field(str(topic), "gas_resistance", "\u2013")


def test_mosquitto_pub_changes_the_page(hub: HubProcess, page: Page) -> None:
    topic, message = reading(node="w3", temperature=7.5)
    host, port = hub.bus_address
    subprocess.run(
        [
            *(program("mosquitto_pub"), "-h", host, "-p", str(port)),
            *("-t", str(topic), "-m", encode(message).decode()),
        ],
        check=True,
        timeout=10,
    )
    page.until_field(str(topic), "temperature", "7.5")


def test_text_from_the_bus_stays_text(hub: HubProcess, page: Page) -> None:
    node = "w4"
    topic, first = reading(node=node, seq=1, **{"label": NASTY, NASTY: 1})
    hub.say(topic, first)
    hub.say(Topic(node, Kind.LOG), log(NASTY, level="error"))
    hub.say(Topic(node, Kind.PLUGIN, "bad"), PluginState("failed", "", 1, 1, NASTY))
    hub.say(Topic(node, Kind.BUZZER), Buzzer(sounding=True, pattern=NASTY))
    page.until_field(str(topic), "label", NASTY)
    # Once more, now by the script rather than by the plugin.
    hub.say(*reading(first.timestamp_ms + 1, 2, node=node, **{"label": NASTY + "!", NASTY: 1}))
    hub.say(Topic(node, Kind.LOG), log(NASTY + "!", level="error"))
    page.until_field(str(topic), "label", NASTY + "!")
    page.until_text(NASTY + "!")
    assert page.driver.title == "HARVESTER"
    assert page.driver.execute_script("return document.scripts.length") == 1
    assert not page.driver.find_elements(By.CSS_SELECTOR, "img[onerror], img[src=x]")


def test_a_field_may_be_called_like_a_part_of_the_language(hub: HubProcess, page: Page) -> None:
    names = {"constructor": 1.0, "__proto__": 2.0, "toString": "x"}
    topic, first = reading(node="w5", seq=1, **names)
    hub.say(topic, first)
    page.until_field(str(topic), "constructor", "1")
    hub.say(*reading(first.timestamp_ms + 1, 2, node="w5", constructor=3.0))
    page.until_field(str(topic), "constructor", "3")
    page.until_field(str(topic), "__proto__", "\u2013")


def test_the_strip_follows_the_leds(hub: HubProcess, page: Page) -> None:
    topic = Topic("w6", Kind.LEDS)
    dots = f"[...document.querySelectorAll('[data-topic=\"{topic}\"] circle')]"
    fills = f"{dots}.map(dot => dot.getAttribute('fill')).join()"
    for pixels in (["#ff0000", "#000000"], ["#0000ff"], ["#00ff00", "#00ffff", "#000000"]):
        hub.say(topic, Leds(pixels))
        page.until(f"{fills} === arguments[0]", ",".join(pixels))


# Draws the picture on a canvas and returns each of its dots, 1 where it is white.
DOTS = """
const picture = document.querySelector(arguments[0]);
const canvas = document.createElement("canvas");
canvas.width = picture.naturalWidth;
canvas.height = picture.naturalHeight;
const context = canvas.getContext("2d");
context.drawImage(picture, 0, 0);
const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
return data.filter((_, i) => i % 4 === 0).map((red) => red > 127 ? 1 : 0).join("");
"""


def test_the_page_has_what_the_display_shows_as_a_picture(hub: HubProcess, page: Page) -> None:
    topic = Topic("w14", Kind.OLED)
    picture = f"[data-topic='{topic}'] img"
    addresses = set()
    for frame in (bytes(range(256)) * 4, bytes(1023) + b"\x01"):
        hub.say(topic, Oled(128, 64, on=True, frame=frame))
        dots = "".join(
            "".join(4 * bit for byte in frame[at : at + 16] for bit in f"{byte:08b}") * 4
            for at in range(0, 1024, 16)
        )
        page.until(
            f"document.querySelector(arguments[0])?.complete && (() => {{{DOTS}}})"
            ".apply(null, [arguments[0]]) === arguments[1]",
            picture,
            dots,
        )
        addresses.add(page.driver.find_element(By.CSS_SELECTOR, picture).get_attribute("src"))
    assert len(addresses) == 2
    state = f"document.querySelector(\"[data-topic='{topic}'] .state\")?.textContent"
    page.until(f"{state} === 'on'")
    hub.say(topic, Oled(128, 64, on=False, frame=bytes(1024)))
    page.until(f"{state} === 'off'")


def test_a_score_appears_when_the_sensor_has_calibrated(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w15", seq=1, iaq_score=0, iaq_accuracy=0)
    row = f"[data-topic='{topic}'] [data-field=iaq_score]"
    tone = "document.querySelector(arguments[0]).dataset.tone"
    hub.say(topic, first)
    page.until_field(str(topic), "iaq_score", "calibrating")
    page.until(f"{tone} === undefined", row)
    hub.say(*reading(first.timestamp_ms + 1, 2, node="w15", iaq_score=38, iaq_accuracy=1))
    page.until_field(str(topic), "iaq_score", "38")
    page.until(f"{tone} === 'good'", row)
    hub.say(*reading(first.timestamp_ms + 2, 3, node="w15", iaq_score=0, iaq_accuracy=0))
    page.until_field(str(topic), "iaq_score", "calibrating")
    page.until(f"{tone} === undefined", row)
    assert not page.driver.find_element(By.CSS_SELECTOR, f"{row} .unit").is_displayed()


def test_each_plugin_has_one_line_and_its_fault_another(hub: HubProcess, page: Page) -> None:
    for name, error in (("pizero-monitor", ""), ("bme680", "the poll was cut off after 1 s")):
        topic = Topic("w16", Kind.PLUGIN, name)
        hub.say(topic, PluginState("failed" if error else "running", "", 1, 0, error))
        page.until_field(str(topic), "error", error)
        rows = f'[data-topic="{topic}"] tr'
        heights = [row.size["height"] for row in page.driver.find_elements(By.CSS_SELECTOR, rows)]
        assert heights[0] < 40
        assert bool(heights[1]) is bool(error)


def test_a_node_goes_offline_and_comes_back(hub: HubProcess, page: Page) -> None:
    badge = "document.querySelector('.presence[data-presence-of=w7]')?.textContent"
    for said in ("online", "offline"):
        hub.say(Topic("w7", Kind.STATUS), status(said))
        page.until(f"{badge} === '{said}'")
    hub.say(Topic("w7", Kind.HEARTBEAT), heartbeat())
    page.until(f"{badge} === 'online'")


def test_a_node_that_falls_silent_is_shown_as_lost(hub: HubProcess, page: Page) -> None:
    quick = status()
    hub.say(Topic("w8", Kind.STATUS), type(quick)("online", "spoke", "1", "a", 1, interval_s=0.2))
    page.until("document.querySelector('.presence[data-presence-of=w8]')?.textContent === 'lost'")


def test_an_old_reading_looks_stale(hub: HubProcess, page: Page) -> None:
    topic, message = reading(node="w9", temperature=1.0)
    hub.say(topic, message)
    page.until(f"document.querySelector('[data-topic=\"{topic}\"]')?.hasAttribute('data-stale')")


def test_a_button_sounds_the_buzzer_and_shows_the_answer(hub: HubProcess, page: Page) -> None:
    with buzzer_node(hub, "w10", error="the relay is stuck"):
        page.until("document.querySelector('[data-node=w10][data-pattern=beep3]') !== null")
        page.driver.find_element(By.CSS_SELECTOR, "[data-node=w10][data-pattern=beep3]").click()
        page.until_text("buzzer: the relay is stuck")


def test_log_lines_are_appended_below_and_tabs_choose_the_node(hub: HubProcess, page: Page) -> None:
    for node in ("w11", "w12"):
        hub.say(Topic(node, Kind.LOG), log(f"first of {node}"))
        page.until_text(f"first of {node}")
    page.driver.find_element(By.ID, "tab-w12").click()
    hub.say(Topic("w12", Kind.LOG), log("second", level="warning"))
    last = "document.querySelector('[data-log=w12] li:last-child')"
    page.until(f"{last}.textContent.endsWith('second') && {last}.dataset.level === 'warning'")
    assert page.driver.find_element(By.ID, "log-w12").is_displayed()
    assert not page.driver.find_element(By.ID, "log-w11").is_displayed()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_never_wider_than_the_screen(hub: HubProcess, page: Page, width: int) -> None:
    hub.say(*reading(node="w13", **{"a-field-with-a-very-long-name" * 4: "x" * 300}))
    page.until_text("x" * 300)
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.until("document.documentElement.scrollWidth <= arguments[0]", width)
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_no_foreign_host(hub: HubProcess, page: Page) -> None:
    asked = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert asked
    assert all(str(name).startswith(hub.url) for name in asked)
