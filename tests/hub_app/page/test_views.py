"""The views of alarms, log, node, and of broker and hub in a real browser, on one running hub."""

import itertools
from collections.abc import Iterator

import msgspec
import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select
from selenium.webdriver.support.wait import WebDriverWait

from bus.clock import now_ms
from bus.contract.commands import WORDS
from bus.contract.description import About
from bus.contract.messages import Fan, Heartbeat, Leds, LogLevel, PluginState, Reading
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import output_node, until
from tests.hub_app.page.browser import Page, browser_of_2020, complaints
from tests.hub_app.samples import log, status
from tests.support import WAIT_S

TRACEBACK = "Traceback (most recent call last):\n  in poll\nOSError: no answer at 0x77"
LINES = "[...document.querySelectorAll('#lines .message')].map((each) => each.textContent)"

_seq = itertools.count()


class View(Page):
    """A view that the hub has rendered and whose stream is open."""

    def open(self, hub: HubProcess, path: str) -> None:
        self.driver.get(hub.url + path)
        self.until("document.querySelector('[data-state=live]') !== null")
        self.driver.execute_script("window.notReloaded = true")

    def click(self, selector: str) -> None:
        self.until_there(selector)
        # A script may just have replaced the element.
        self.until("document.querySelector(arguments[0])?.click() ?? true", selector)

    def until_gone(self, selector: str) -> None:
        self.until("document.querySelector(arguments[0]) === null", selector)


@pytest.fixture
def view(browser: Chrome) -> Iterator[View]:
    yield View(browser)
    assert browser.execute_script("return window.notReloaded"), "the page was reloaded"
    said = complaints(browser)
    browser.get("about:blank")
    assert said == []


def measure(hub: HubProcess, node: str, temperature: float) -> None:
    online = msgspec.structs.replace(status(), interval_s=600.0)
    hub.publish(Topic(node, TopicKind.STATUS), online)
    topic = Topic(node, TopicKind.READING, "air")
    hub.publish(
        topic, Reading(node, "air", now_ms(), "s", next(_seq), {"temperature": temperature})
    )


def say(hub: HubProcess, node: str, text: str, level: LogLevel = "info") -> None:
    hub.publish(Topic(node, TopicKind.LOG), log(text, level=level))


def test_a_rule_of_the_form_makes_an_alarm_that_is_acknowledged_and_ends(
    hub: HubProcess, view: View
) -> None:
    measure(hub, "v1", 20.0)
    view.open(hub, "/alarms?node=v1&sensor=air&field=temperature&above=30")
    name = view.until_there("#rule-form [name=name]").get_property("value")
    assert name == "temperature-above-air"
    view.driver.find_element(By.NAME, "clear").send_keys("28")
    view.click("#rule-form button")
    view.until_there(f"#rule-{name}")
    measure(hub, "v1", 31.0)
    alarm = f"#active [data-node=v1][data-alarm='{name}--air']"
    view.until_there(alarm)
    view.until("document.getElementById('announcement').textContent.includes('New warning of v1:')")
    view.until("/^\\(\\d+\\) Alarms/.test(document.title)")
    view.click(f"{alarm} [data-act=ack]")
    view.until_there(f"{alarm}[data-acknowledged]")
    view.until_gone(f"{alarm} [data-act=ack]")
    Select(view.until_there(f"{alarm} select")).select_by_visible_text("8 hours")
    view.click(f"{alarm} [data-act=mute]")
    view.driver.execute_script("document.activeElement.blur()")
    view.until("document.querySelector(arguments[0])?.textContent.includes('muted until')", alarm)
    view.click(f"{alarm} [data-act=unmute]")
    view.until_gone(f"{alarm} [data-act=unmute]")
    # Between limit and clearing value it stays.
    measure(hub, "v1", 29.0)
    measure(hub, "v1", 27.0)
    view.until_gone(alarm)
    view.until(
        "document.querySelector('#past tbody')?.textContent.includes('temperature is above 30')"
    )
    view.click(f"#switch-{name}")
    view.until_there(f"#rule-{name}[data-disabled]")


def test_a_mistake_in_a_rule_is_said_beside_the_form(hub: HubProcess, view: View) -> None:
    view.open(hub, "/alarms?name=wrong&field=temperature&above=10&clear=20")
    view.click("#rule-form button")
    view.until("document.getElementById('rule-fault').textContent.startsWith('clear: found 20')")


def test_the_form_shows_what_its_kind_takes(hub: HubProcess, view: View) -> None:
    view.open(hub, "/alarms?name=cellar-lost&kind=lost&node=cellar")
    view.until("document.querySelector('[name=field]').closest('[hidden]') !== null")
    view.click("#rule-form button")
    view.until_there("#rule-cellar-lost")
    hub.http.delete("/api/alarms/rules/cellar-lost")


def test_log_lines_arrive_and_are_filtered_by_level_and_text(hub: HubProcess, view: View) -> None:
    say(hub, "v2", "step 1")
    say(hub, "v2", "step 2", "error")
    until(hub, "/api/logs?node=v2", "step 2")
    view.open(hub, "/log?node=v2")
    view.until(f"{LINES}.join() === 'step 1,step 2'")
    say(hub, "v2", "step 3", "warning")
    say(hub, "v2b", "of another node", "error")
    view.until(f"{LINES}.join() === 'step 1,step 2,step 3'")
    Select(view.driver.find_element(By.NAME, "level")).select_by_value("warning")
    view.until(f"{LINES}.join() === 'step 2,step 3'")
    view.driver.find_element(By.NAME, "text").send_keys("STEP 3")
    view.until(f"{LINES}.join() === 'step 3'")
    view.until("location.search === '?level=warning&node=v2&text=STEP+3'")
    say(hub, "v2", "step 4", "error")
    say(hub, "v2", "again step 3", "error")
    view.until(f"{LINES}.join() === 'step 3,again step 3'")


def test_a_paused_log_stays_until_it_continues(hub: HubProcess, view: View) -> None:
    say(hub, "v3", "before")
    until(hub, "/api/logs?node=v3", "before")
    view.open(hub, "/log?node=v3")
    view.until(f"{LINES}.join() === 'before'")
    # The newest lines are fetched: what arrives before is shown with them.
    view.until("document.getElementById('log-status').textContent === '1 lines'")
    view.click("#pause")
    say(hub, "v3", "meanwhile")
    view.until("document.getElementById('log-status').textContent === '1 lines, paused; 1 new'")
    assert view.until(f"{LINES}.join() === 'before'")
    view.click("#pause")
    view.until(f"{LINES}.join() === 'before,meanwhile'")


def test_older_lines_come_in_pages(hub: HubProcess, view: View) -> None:
    for i in range(230):
        hub.bus.publish(Topic("v4", TopicKind.LOG), msgspec.json.encode(log(f"line {i}")))
    until(hub, "/api/logs?node=v4", '"line 229"')
    view.open(hub, "/log?node=v4")
    # Even before the script has fetched the newest lines.
    view.click("#older")
    view.until(f"{LINES}.length === 230")
    assert view.until(f"{LINES}[0] === 'line 0'")
    view.until("document.getElementById('older').hidden")


def test_a_browser_of_2020_shows_the_log(hub: HubProcess, view: View) -> None:
    say(hub, "v5", "old")
    until(hub, "/api/logs?node=v5", "old")
    with browser_of_2020(view.driver):
        view.open(hub, "/log?node=v5")
        say(hub, "v5", "new")
        view.until(f"{LINES}.join() === 'old,new'")


def test_the_outputs_of_a_node_are_commanded(hub: HubProcess, view: View) -> None:
    hub.publish(Topic("v6", TopicKind.LEDS), Leds(["#000000", "#000000"]))
    hub.publish(Topic("v6", TopicKind.FAN), Fan(on=False, mode="on"))
    hub.publish(Topic("v6", TopicKind.ABOUT), About("", "", "", "", "", "", {}, WORDS))
    until(hub, "/api/nodes", '"fan":{"on":false')
    view.open(hub, "/node/v6")
    view.driver.execute_script("document.getElementById('led-color').value = '#ff8800'")
    with output_node(hub, "v6", "leds") as commands:
        view.click("[data-led='1']")
    assert (commands[0]["index"], commands[0]["color"]) == (1, "#ff8800")
    hub.publish(Topic("v6", TopicKind.LEDS), Leds(["#000000", "#ff8800"]))
    view.until("document.querySelector('#led-1 circle').getAttribute('fill') === '#ff8800'")
    view.until("document.querySelector('#led-1').getAttribute('aria-label') === 'LED 1, #ff8800'")
    with output_node(hub, "v6", "fan") as commands:
        view.click("[data-fan=auto]")
    assert commands[0]["mode"] == "auto"
    hub.publish(Topic("v6", TopicKind.FAN), Fan(on=True, mode="auto"))
    view.until_text("on (auto)")
    view.until_there("[data-fan=auto][aria-pressed=true]")


def test_a_node_is_followed_and_its_plugin_reloaded(hub: HubProcess, view: View) -> None:
    hub.publish(Topic("v7", TopicKind.ABOUT), About("Attic", "", "", "", "", "", {}, WORDS))
    hub.publish(Topic("v7", TopicKind.PLUGIN, "air"), PluginState("running", "", now_ms(), 0))
    until(hub, "/api/nodes", '"Attic"')
    view.open(hub, "/node/v7")
    beat = Heartbeat(1, 10.0, 42.0, 1234.0, 7, 0, now_ms())
    hub.publish(Topic("v7", TopicKind.HEARTBEAT), beat)
    view.until_field(str(Topic("v7", TopicKind.HEARTBEAT)), "outbox_rows", "7")
    failed = PluginState(
        "failed", "", now_ms(), 1, "no answer at 0x77", version="1.4", last_failure=TRACEBACK
    )
    hub.publish(Topic("v7", TopicKind.PLUGIN, "air"), failed)
    view.until_text("no answer at 0x77")
    view.until_text("1.4")
    view.click("#error-air summary")
    view.until_text("in poll")
    with output_node(hub, "v7", "plugins") as commands:
        view.click("#reload-air")
    assert (commands[0]["plugin"], commands[0]["action"]) == ("air", "reload")
    view.until_text("air of v7: reload done")
    measure(hub, "v7", 21.5)
    view.until_field(str(Topic("v7", TopicKind.READING, "air")), "temperature", "21.5")
    say(hub, "v7", "the roof leaks")
    view.until_text("the roof leaks")


def test_the_panels_of_the_system_page_keep_their_distance(hub: HubProcess, view: View) -> None:
    view.open(hub, "/system")
    gaps = view.driver.execute_script("""
      const boxes = [...document.querySelectorAll("main .panel:not([hidden])")]
        .map((panel) => panel.getBoundingClientRect());
      return boxes.flatMap((above) => boxes
        .filter((below) => below.top >= above.bottom
          && below.left < above.right && above.left < below.right)
        .map((below) => below.top - above.bottom));
    """)
    # A panel's title stands on its upper edge.
    assert min(gaps) > 18


def test_the_figures_of_the_hub_are_shown_and_polled(hub: HubProcess, view: View) -> None:
    view.open(hub, "/system")
    # The stream of this page is one of the browsers, as the next copy of the page tells.
    view.until(
        "[...document.querySelectorAll('#hub dt')].find((each) => each.textContent === 'Browsers')"
        ".nextElementSibling.textContent === '1'"
    )


def test_a_removed_node_leads_to_the_overview(hub: HubProcess, browser: Chrome) -> None:
    hub.publish(Topic("v8", TopicKind.STATUS), status())
    until(hub, "/api/nodes", '"v8"')
    view = View(browser)
    view.open(hub, "/node/v8")
    view.click("#remove")
    view.until_there("#remove-dialog[open] [value=remove]").click()
    # A command that meets the change of pages is aborted.
    waiting = WebDriverWait(browser, WAIT_S, 0.05, ignored_exceptions=[WebDriverException])
    waiting.until(lambda driver: driver.current_url == f"{hub.url}/")
    browser.get("about:blank")
