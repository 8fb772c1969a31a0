"""Live updates of the page in a real browser."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from bus.contract.description import About, SettingDescription
from bus.contract.messages import Buzzer, Event, Leds, Oled, PluginState, encode
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import (
    buzzer_node,
    named_node,
    plugin_node,
    remove_all_nodes,
    setting_node,
    until,
)
from tests.hub_app.page.browser import Page, browser_of_2020, complaints
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status
from tests.support import WAIT_S, program

NASTY_NAME = "<img src=x onerror=\"document.title='owned'\">"
NASTY = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Iterator[Page]:
    # Only of a few nodes has the page outputs, plugins and logs.
    remove_all_nodes(hub)
    browser.get(hub.url)
    opened = Page(browser)
    opened.until("document.querySelector('[data-state=live]') !== null")
    browser.execute_script("window.notReloaded = true")
    yield opened
    assert browser.execute_script("return window.notReloaded"), "the page was reloaded"
    # A refused command is logged by the browser itself; whatever else it has to say is a fault.
    assert complaints(browser) == []
    browser.get("about:blank")


def describe(hub: HubProcess, node: str, sensor: str = "dht22-gpio4", title: str = "") -> None:
    described = description_of("bme680" if sensor == "air" else sensor, title)
    hub.publish(Topic(node, TopicKind.SENSOR, sensor), described)


def test_a_published_reading_changes_the_page_without_reload(hub: HubProcess, page: Page) -> None:
    describe(hub, "w1")
    topic, first = reading(node="w1", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20.0")
    hub.publish(*reading(first.timestamp_ms + 1, 2, node="w1", temperature=21.25))
    page.until_field(str(topic), "temperature", "21.3")


@pytest.mark.parametrize(
    ("motion", "shown"), [("no-preference", ["blink", "10"]), ("reduce", ["none", "1"])]
)
def test_the_cursor_behind_the_title_blinks_for_some_seconds(
    page: Page, motion: str, shown: list[str]
) -> None:
    features = [{"name": "prefers-reduced-motion", "value": motion}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    found = page.driver.execute_script(
        "const style = getComputedStyle(document.querySelector('h1'), '::after');"
        "return [style.animationName, style.animationIterationCount];"
    )
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    # An animation without end repaints every open page for as long as it is open.
    assert found == shown


def test_a_field_that_appears_later_gets_its_place(hub: HubProcess, page: Page) -> None:
    describe(hub, "w2", "air")
    topic, first = reading(node="w2", seq=1, sensor="air", temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20.0")
    both = {"temperature": 20.0, "gas_resistance": 50.5}
    hub.publish(*reading(first.timestamp_ms + 1, 2, node="w2", sensor="air", **both))
    page.until_field(str(topic), "gas_resistance", "50.5")
    hub.publish(*reading(first.timestamp_ms + 2, 3, node="w2", sensor="air", temperature=20.0))
    page.until_field(str(topic), "gas_resistance", "\u2013")


def test_a_description_that_arrives_and_changes_is_followed(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w2d", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20")
    describe(hub, "w2d", title="Desk")
    page.until_field(str(topic), "temperature", "20.0")
    page.until_text("Desk")
    describe(hub, "w2d", title="Window")
    page.until_text("Window")
    hub.bus.publish(Topic("w2d", TopicKind.SENSOR, "dht22-gpio4"), b"")
    page.until_field(str(topic), "temperature", "20")


def test_a_browser_that_comes_back_sees_a_description_that_changed_meanwhile(
    hub: HubProcess, page: Page
) -> None:
    topic, first = reading(node="w2e", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20")
    page.driver.execute_script("dispatchEvent(new Event('pagehide'))")
    describe(hub, "w2e")
    page.driver.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
    page.until_field(str(topic), "temperature", "20.0")


def test_a_sensor_is_named_from_the_page(hub: HubProcess, page: Page) -> None:
    node = "w2g"
    topic, first = reading(node=node, seq=1, temperature=20.0)
    hub.publish(topic, first)
    describe(hub, node, title="Desk")
    actuators = {"names": ["sensor", "title", "area"]}
    hub.publish(Topic(node, TopicKind.ABOUT), About("", "", "", "", "", "", {}, actuators))
    button = page.until_there(f"[data-name-of={node}][data-sensor]")
    page.driver.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    title = page.until_there("#name-dialog[open] input[name=title]")
    assert title.get_property("value") == "Desk"
    title.clear()
    with named_node(hub, node) as commands:
        title.send_keys("Window", Keys.ENTER)
    (command,) = commands
    assert {**command, "id": ""} == {"sensor": "dht22-gpio4", "title": "Window", "id": ""}
    describe(hub, node, title="Window")
    page.until(
        f"document.querySelector('[data-name-of={node}][data-sensor]').dataset.title === 'Window'"
    )


def test_a_plugin_is_set_from_the_page(hub: HubProcess, page: Page) -> None:
    topic = Topic("w2h", TopicKind.PLUGIN, "dht22")
    described = {
        "high_c": SettingDescription("number", 30.0, "Too hot from", "\u00b0C", -40, 80),
        "alarm": SettingDescription("switch", default=True),
        "mode": SettingDescription("choice", "day", choices=["day", "night"]),
    }
    values = {"high_c": 28.5, "alarm": True, "mode": "night"}
    hub.publish(topic, PluginState("running", "", NOW_MS, 0))
    page.until_there(f"[data-settings-of='{topic}'][hidden]")
    state = PluginState("running", "", NOW_MS, 0, settings=values, described=described)
    hub.publish(topic, state)
    button = page.until_there(f"[data-settings-of='{topic}']:not([hidden])")
    page.driver.execute_script("arguments[0].click()", button)
    number = page.until_there("#settings-dialog[open] input[name=high_c]")
    assert (number.get_property("value"), number.get_attribute("max")) == ("28.5", "80")
    assert page.driver.find_element(By.CSS_SELECTOR, "select").get_property("value") == "night"
    page.driver.find_element(By.CSS_SELECTOR, "#settings-dialog [name=alarm]").click()
    number.clear()
    with setting_node(hub, "w2h") as commands:
        number.send_keys("26.5", Keys.ENTER)
    (command,) = commands
    assert command["settings"] == {"high_c": 26.5, "alarm": False}
    assert command["action"] == "set"
    page.until_text("dht22 of w2h: set done")


def test_one_sensor_of_a_plugin_is_set_from_the_page(hub: HubProcess, page: Page) -> None:
    topic = Topic("w2i", TopicKind.PLUGIN, "dht22")
    described = {
        "high_c": SettingDescription("number", 30.0, scope="sensor"),
        "low_c": SettingDescription("number", 15.0, scope="sensor"),
        "alarm": SettingDescription("switch", default=True, scope="sensor"),
        "units": SettingDescription("text", "si"),
    }
    values = {"high_c": 28.5, "low_c": 15.0, "alarm": True, "units": "si"}
    sensors = {"dht22-gpio17": {"low_c": 5.0}, "dht22-gpio4": {}}
    hub.publish(topic, PluginState("running", "", NOW_MS, 0, "", 0, values, described, sensors))
    button = page.until_there(f"[data-settings-of='{topic}']:not([hidden])")
    page.driver.execute_script("arguments[0].click()", button)
    chosen = Select(page.until_there("#settings-dialog[open] [name=of-sensor]"))
    assert [o.text for o in chosen.options] == ["all sensors", "dht22-gpio17", "dht22-gpio4"]
    assert page.driver.find_element(By.CSS_SELECTOR, "[name=units]")
    chosen.select_by_visible_text("dht22-gpio17")
    assert not page.driver.find_elements(By.CSS_SELECTOR, "[name=units]")
    high, low = (
        page.until_there(f"#settings-dialog [name={name}]") for name in ("high_c", "low_c")
    )
    assert (high.get_property("value"), high.get_attribute("placeholder")) == ("", "28.5")
    assert low.get_property("value") == "5"
    alarm = Select(page.driver.find_element(By.CSS_SELECTOR, "#settings-dialog [name=alarm]"))
    assert [o.text for o in alarm.options] == ["as all sensors: on", "on", "off"]
    alarm.select_by_visible_text("off")
    low.clear()
    with setting_node(hub, "w2i") as commands:
        high.send_keys("35", Keys.ENTER)
    (command,) = commands
    assert command["sensor"] == "dht22-gpio17"
    assert command["settings"] == {"high_c": 35, "low_c": None, "alarm": False}
    page.until_text("dht22-gpio17 of w2i: set done")


def test_an_event_of_a_sensor_does_not_disturb_the_page(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w2f", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20")
    page.driver.execute_script("document.querySelector('main').dataset.same = 'yes'")
    hub.publish(Topic("w2f", TopicKind.EVENT, "button"), Event("pressed", {}, NOW_MS))
    hub.publish(*reading(first.timestamp_ms + 1, 2, node="w2f", temperature=21.0))
    page.until_field(str(topic), "temperature", "21")
    assert page.driver.execute_script("return document.querySelector('main').dataset.same") == "yes"


def test_mosquitto_pub_changes_the_page(hub: HubProcess, page: Page) -> None:
    topic, message = reading(node="w3", temperature=7.5)
    host, port = hub.bus_address
    subprocess.run(
        [
            *(program("mosquitto_pub"), "-h", host, "-p", str(port)),
            *("-t", str(topic), "-m", encode(message).decode()),
        ],
        check=True,
        timeout=WAIT_S,
    )
    page.until_field(str(topic), "temperature", "7.5")


def test_text_from_the_bus_stays_text(hub: HubProcess, page: Page) -> None:
    node = "w4"
    topic, first = reading(node=node, seq=1, **{"label": NASTY, NASTY_NAME: 1})
    hub.publish(topic, first)
    hub.publish(Topic(node, TopicKind.LOG), log(NASTY, level="error"))
    hub.publish(Topic(node, TopicKind.PLUGIN, "bad"), PluginState("failed", "", 1, 1, NASTY))
    hub.publish(Topic(node, TopicKind.BUZZER), Buzzer(sounding=True, pattern=NASTY))
    page.until_field(str(topic), "label", NASTY)
    # Once more, now by the script rather than by the plugin.
    hub.publish(
        *reading(first.timestamp_ms + 1, 2, node=node, **{"label": NASTY + "!", NASTY_NAME: 1})
    )
    hub.publish(Topic(node, TopicKind.LOG), log(NASTY + "!", level="error"))
    page.until_field(str(topic), "label", NASTY + "!")
    page.until_text(NASTY + "!")
    # The count is of the plugin that failed.
    page.until("document.title === '(1) HARVESTER'")
    sources = page.driver.execute_script("return [...document.scripts].map(each => each.src)")
    assert sources == [
        f"{hub.url}/static/overview/overview.js",
        f"{hub.url}/static/frame/old-browser.js",
    ]
    assert not page.driver.find_elements(By.CSS_SELECTOR, "img[onerror], img[src=x]")


def test_a_field_may_be_called_like_a_part_of_the_language(hub: HubProcess, page: Page) -> None:
    names = {"constructor": 1.0, "__proto__": 2.0, "toString": "x"}
    topic, first = reading(node="w5", seq=1, **names)
    hub.publish(topic, first)
    page.until_field(str(topic), "constructor", "1")
    hub.publish(*reading(first.timestamp_ms + 1, 2, node="w5", constructor=3.0))
    page.until_field(str(topic), "constructor", "3")
    page.until_field(str(topic), "__proto__", "\u2013")


def test_the_strip_follows_the_leds(hub: HubProcess, page: Page) -> None:
    topic = Topic("w6", TopicKind.LEDS)
    dots = f"[...document.querySelectorAll('[data-topic=\"{topic}\"] circle')]"
    fills = f"{dots}.map(dot => dot.getAttribute('fill')).join()"
    for pixels in (["#ff0000", "#000000"], ["#0000ff"], ["#00ff00", "#00ffff", "#000000"]):
        hub.publish(topic, Leds(pixels))
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
    topic = Topic("w14", TopicKind.OLED)
    picture = f"[data-topic='{topic}'] img"
    addresses = set()
    for frame in (bytes(range(256)) * 4, bytes(1023) + b"\x01"):
        hub.publish(topic, Oled(128, 64, on=True, frame=frame))
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
    hub.publish(topic, Oled(128, 64, on=False, frame=bytes(1024)))
    page.until(f"{state} === 'off'")


def test_the_word_of_a_value_follows_it(hub: HubProcess, page: Page) -> None:
    describe(hub, "w2j")
    word = "document.querySelector(arguments[0])?.textContent"
    first = reading(node="w2j", seq=1, temperature=25.0)
    row = f"[data-topic='{first[0]}'] [data-field=temperature] .band"
    for seq, (temperature_c, expected) in enumerate([(25, "normal"), (29.9, "warm"), (30, "high")]):
        newer = reading(first[1].timestamp_ms + seq, seq + 1, node="w2j", temperature=temperature_c)
        hub.publish(*newer)
        page.until(f"{word} === '{expected}'", row)


def test_a_score_appears_when_the_sensor_has_calibrated(hub: HubProcess, page: Page) -> None:
    describe(hub, "w15", "air")
    calibrating = {"iaq_score": 0, "iaq_accuracy": 0}
    topic, first = reading(node="w15", seq=1, sensor="air", **calibrating)
    row = f"[data-topic='{topic}'] [data-field=iaq_score]"
    tone = "document.querySelector(arguments[0]).dataset.tone"
    hub.publish(topic, first)
    page.until_field(str(topic), "iaq_score", "calibrating")
    page.until(f"{tone} === undefined", row)
    known = {"iaq_score": 38, "iaq_accuracy": 1}
    hub.publish(*reading(first.timestamp_ms + 1, 2, node="w15", sensor="air", **known))
    page.until_field(str(topic), "iaq_score", "38")
    page.until(f"{tone} === 'good'", row)
    hub.publish(*reading(first.timestamp_ms + 2, 3, node="w15", sensor="air", **calibrating))
    page.until_field(str(topic), "iaq_score", "calibrating")
    page.until(f"{tone} === undefined", row)
    assert not page.driver.find_element(By.CSS_SELECTOR, f"{row} .unit").is_displayed()


@contextmanager
def phone(page: Page, width: int) -> Iterator[None]:
    """Show the page as a screen of `width` dots does."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


SHA256 = "0b0bf0b2f6bb6ed5e3a3e8f6a5bb0e2f9f0d8ac2f1b0a8cf2ea4ad5b0b4f1c3e"


def test_a_plugins_row_follows_its_state(hub: HubProcess, page: Page) -> None:
    topic = Topic("w16", TopicKind.PLUGIN, "bme680")
    hub.publish(topic, PluginState("running", SHA256, NOW_MS, 0))
    page.until_field(str(topic), "state", "running")
    row = f'tr[data-topic="{topic}"]'
    build = page.driver.find_element(By.CSS_SELECTOR, f"{row} [data-field=sha256]")
    assert (build.text, build.get_attribute("title")) == (SHA256[:8], SHA256)
    hub.publish(topic, PluginState("failed", "", 0, 3, "the poll was cut off after 1 s"))
    page.until_field(str(topic), "error", "the poll was cut off after 1 s")
    cells = page.driver.find_elements(By.CSS_SELECTOR, f"{row} .value")
    assert [cell.text for cell in cells[:5]] == ["failed", "", "", "\u2013", "3"]
    hub.publish(topic, PluginState("running", "c" * 64, NOW_MS, 3, version="1.2.0"))
    page.until_field(str(topic), "version", "1.2.0")
    page.until_field(str(topic), "sha256", "c" * 8)
    page.until(f"document.querySelector('{row} [data-field=sha256]').title === 'c'.repeat(64)")
    moment = f"document.querySelector('{row} [data-field=loaded_ms] .value').textContent"
    page.until(f"/^2023-11-1[45] [0-9:]{{8}}$/.test({moment})")


def test_a_plugin_is_commanded_by_keyboard_and_the_answer_is_shown(
    hub: HubProcess, page: Page
) -> None:
    topic = Topic("w17", TopicKind.PLUGIN, "oled")
    with plugin_node(hub, topic, error="no such plugin") as commands:
        page.until_field(str(topic), "state", "running")
        button = page.driver.find_element(By.ID, "disable-w17-oled")
        assert button.accessible_name == "Disable oled of w17"
        page.driver.execute_script("arguments[0].focus()", button)
        page.driver.switch_to.active_element.send_keys(Keys.ENTER)
        page.until_text("oled of w17: no such plugin")
    assert commands == [("oled", "disable")]
    assert page.driver.switch_to.active_element == button
    with plugin_node(hub, topic) as commands:
        hub.publish(topic, PluginState("disabled", "", 0, 0))
        # The focus goes to the button in whose place it was.
        page.until("document.activeElement.id === 'enable-w17-oled'")
        assert not button.is_displayed()
        page.driver.switch_to.active_element.send_keys(Keys.SPACE)
        page.until_text("oled of w17: enable done")
    assert commands == [("oled", "enable")]


@pytest.mark.parametrize("width", [360, 1280])
def test_the_plugins_are_a_table_on_every_screen(hub: HubProcess, page: Page, width: int) -> None:
    topic = Topic(f"w18-{width}", TopicKind.PLUGIN, "a-plugin-with-quite-a-long-name-indeed")
    described = {"high_c": SettingDescription("number", 30.0)}
    fault = "it went wrong " * 20
    hub.publish(topic, PluginState("failed", SHA256, NOW_MS, 12, fault, described=described))
    page.until_field(str(topic), "restarts", "12")
    with phone(page, width):
        page.until("document.documentElement.scrollWidth <= arguments[0]", width)
        table = page.driver.find_element(By.CSS_SELECTOR, ".plugins table")
        assert table.aria_role == "table"
        row = table.find_element(By.CSS_SELECTOR, f'tr[data-topic="{topic}"]')
        assert row.aria_role == "row"
        assert row.find_element(By.TAG_NAME, "th").aria_role == "rowheader"
        for button in row.find_elements(By.TAG_NAME, "button"):
            if button.get_attribute("data-action") == "enable":
                assert not button.is_displayed()
                continue
            assert button.is_displayed()
            assert 0 <= button.rect["x"] <= width - button.rect["width"]
            assert width > 500 or button.rect["height"] >= 44


def test_a_node_goes_offline_and_comes_back(hub: HubProcess, page: Page) -> None:
    badge = "document.querySelector('.presence[data-presence-of=w7]')?.textContent"
    for state in ("online", "offline"):
        hub.publish(Topic("w7", TopicKind.STATUS), status(state))
        page.until(f"{badge} === '{state}'")
    hub.publish(Topic("w7", TopicKind.HEARTBEAT), heartbeat())
    page.until(f"{badge} === 'online'")


def test_a_node_that_falls_silent_is_shown_as_lost(hub: HubProcess, page: Page) -> None:
    quick = status()
    hub.publish(
        Topic("w8", TopicKind.STATUS), type(quick)("online", "spoke", "1", "a", 1, interval_s=0.2)
    )
    page.until("document.querySelector('.presence[data-presence-of=w8]')?.textContent === 'lost'")


def test_an_old_reading_looks_stale(hub: HubProcess, page: Page) -> None:
    topic, message = reading(node="w9", temperature=1.0)
    hub.publish(topic, message)
    page.until(f"document.querySelector('[data-topic=\"{topic}\"]')?.hasAttribute('data-stale')")


def test_a_button_sounds_the_buzzer_and_shows_the_answer(hub: HubProcess, page: Page) -> None:
    with buzzer_node(hub, "w10", error="the relay is stuck"):
        page.until("document.querySelector('[data-node=w10][data-pattern=beep3]') !== null")
        page.driver.find_element(By.CSS_SELECTOR, "[data-node=w10][data-pattern=beep3]").click()
        page.until_text("buzzer: the relay is stuck")


def test_log_lines_are_appended_below_and_tabs_choose_the_node(hub: HubProcess, page: Page) -> None:
    for node in ("w11", "w12"):
        hub.publish(Topic(node, TopicKind.LOG), log(f"first of {node}"))
        page.until_text(f"first of {node}")
    page.driver.find_element(By.ID, "tab-w12").click()
    hub.publish(Topic("w12", TopicKind.LOG), log("second", level="warning"))
    last = "document.querySelector('[data-log=w12] li:last-child')"
    page.until(f"{last}.textContent.endsWith('second') && {last}.dataset.level === 'warning'")
    assert page.driver.find_element(By.ID, "log-w12").is_displayed()
    assert not page.driver.find_element(By.ID, "log-w11").is_displayed()


def test_a_page_that_is_opened_later_has_the_lines_before(hub: HubProcess, browser: Chrome) -> None:
    remove_all_nodes(hub)
    hub.publish(Topic("w19", TopicKind.LOG), log("said before"))
    until(hub, "/api/logs", "said before")
    browser.get(hub.url)
    page = Page(browser)
    page.until("document.querySelector('[data-state=live]') !== null")
    page.until(
        "document.querySelector('[data-log=w19] li .message')?.textContent === 'said before'"
    )
    hub.publish(Topic("w19", TopicKind.LOG), log("said now"))
    lines = (
        "[...document.querySelectorAll('[data-log=w19] .message')].map(each => each.textContent)"
    )
    page.until(f"{lines}.join() === 'said before,said now'")
    browser.get("about:blank")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_never_wider_than_the_screen(hub: HubProcess, page: Page, width: int) -> None:
    hub.publish(*reading(node=f"w13-{width}", **{"a-field-with-a-very-long-name" * 2: "x" * 250}))
    page.until_text("x" * 250)
    with phone(page, width):
        page.until("document.documentElement.scrollWidth <= arguments[0]", width)


def test_the_page_requests_nothing_from_other_hosts(hub: HubProcess, page: Page) -> None:
    requested = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)"
    )
    assert requested
    assert all(str(name).startswith(hub.url) for name in requested)


def test_a_browser_of_2020_shows_every_new_value_and_its_age(
    hub: HubProcess, browser: Chrome
) -> None:
    with browser_of_2020(browser):
        browser.get(hub.url)
        page = Page(browser)
        page.until("document.querySelector('[data-state=live]') !== null")
        assert browser.execute_script("return Object.hasOwn === undefined")
        describe(hub, "w2020")
        topic, first = reading(node="w2020", seq=1, temperature=20.0)
        hub.publish(topic, first)
        page.until_field(str(topic), "temperature", "20.0")
        hub.publish(Topic("w2020", TopicKind.LOG), log("hello"))
        hub.publish(*reading(first.timestamp_ms + 1, 2, node="w2020", temperature=21.0))
        page.until_field(str(topic), "temperature", "21.0")
        assert complaints(browser) == []
    browser.get("about:blank")


def test_a_value_that_cannot_be_shown_does_not_look_fresh(hub: HubProcess, browser: Chrome) -> None:
    browser.get(hub.url)
    page = Page(browser)
    describe(hub, "w2021")
    topic, first = reading(node="w2021", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20.0")
    place = f"document.querySelector('[data-topic=\"{topic}\"]')"
    at_ms = browser.execute_script(f"return {place}.dataset.at")
    # Nothing can be shown in this element any more.
    browser.execute_script(f"{place}.querySelector('[data-field]').dataset.format = 'none'")
    hub.publish(*reading(first.timestamp_ms + 5000, 2, node="w2021", temperature=21.0))
    hub.publish(Topic("w2021", TopicKind.LOG), log("after the reading"))
    page.until_text("after the reading")
    assert browser.execute_script(f"return {place}.dataset.at") == at_ms
    browser.get_log("browser")
    browser.get("about:blank")


def test_the_button_asks_once_and_removes_the_node(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w30", seq=1, temperature=20.0)
    hub.publish(topic, first)
    button = page.until_there("[data-remove='w30']")
    button.click()
    page.until("document.getElementById('remove-dialog').open")
    page.until_text("Remove w30? It is gone from the page")
    page.driver.find_element(By.CSS_SELECTOR, "#remove-dialog [value=cancel]").click()
    page.until("!document.getElementById('remove-dialog').open")
    assert "w30" in hub.http.get("/api/nodes").text
    page.until_there("[data-remove='w30']").click()
    page.driver.find_element(By.CSS_SELECTOR, "#remove-dialog [value=remove]").click()
    page.until("document.querySelector('[data-remove=w30]') === null")
    page.until("!document.querySelector('main').textContent.includes('w30')")
    assert "w30" not in hub.http.get("/api/nodes").text
    assert "w30" not in hub.http.get("/metrics").text


def test_an_emptied_topic_leaves_the_page(hub: HubProcess, page: Page) -> None:
    topic, first = reading(node="w31", seq=1, temperature=20.0)
    hub.publish(topic, first)
    page.until_field(str(topic), "temperature", "20")
    hub.bus.publish(topic, b"")
    page.until(f"document.querySelector('[data-topic=\"{topic}\"]') === null")
    assert hub.http.get("/metrics").text.count("w31:dht22") == 0
