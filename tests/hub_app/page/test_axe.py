"""Accessibility of the page, by axe-core; `make axe` fetches it, and without it these skip."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from bus.contract.description import About
from bus.contract.messages import Alarm, Buzzer, Leds, PluginState
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import remove_all_nodes, until
from tests.hub_app.page.browser import Page
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status
from tests.support import PROJECT

AXE = PROJECT / ".harvester" / "axe" / "axe.min.js"
RUN = """
const done = arguments[arguments.length - 1];
axe.run().then(({ violations }) =>
  done(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))));
"""

pytestmark = pytest.mark.skipif(not AXE.is_file(), reason="`make axe` fetches axe-core")


@pytest.fixture(params=["dark", "light"])
def scheme(request: pytest.FixtureRequest, browser: Chrome) -> Iterator[str]:
    features = [{"name": "prefers-color-scheme", "value": request.param}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    yield request.param
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def fill(hub: HubProcess, prefix: str, nodes: int) -> None:
    remove_all_nodes(hub)
    for number in range(nodes):
        node = f"{prefix}{number}"
        hub.publish(Topic(node, TopicKind.STATUS), status("online" if number else "offline"))
        hub.publish(Topic(node, TopicKind.ABOUT), About("", "Attic", "", "", "", "", {}, {}))
        hub.publish(Topic(node, TopicKind.HEARTBEAT), heartbeat())
        hub.publish(Topic(node, TopicKind.SENSOR, "dht22-a"), description_of("dht22-a"))
        hub.publish(*reading(node=node, sensor="dht22-a", temperature=20.0, humidity=40.0))
        hub.publish(Topic(node, TopicKind.PLUGIN, "oled"), PluginState("running", "", NOW_MS, 0))
        hub.publish(Topic(node, TopicKind.LOG), log("a line"))
    node = f"{prefix}1"
    hub.publish(Topic(node, TopicKind.ALARM, "warm"), Alarm("warning", "Too warm", NOW_MS))
    hub.publish(Topic(node, TopicKind.LEDS), Leds(["#ff0000"]))
    hub.publish(Topic(node, TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))


# On a phone, the areas of so many nodes are folded.
@pytest.mark.parametrize(("nodes", "width"), [(3, 1280), (8, 1280), (14, 390)])
def test_axe_finds_nothing(
    hub: HubProcess, browser: Chrome, scheme: str, nodes: int, width: int
) -> None:
    fill(hub, f"{scheme}{nodes}x", nodes)
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(hub.url)
    page = Page(browser)
    page.until("document.querySelector('[data-state=live]') !== null")
    page.until("document.querySelector('#attention li') !== null")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert browser.execute_async_script(RUN) == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get_log("browser")
    browser.get("about:blank")


@pytest.mark.parametrize(
    "view", ["alarms?field=humidity&above=1", "log", "node/{}", "sensor/{}/dht22-a", "system"]
)
def test_axe_finds_nothing_in_a_view(
    hub: HubProcess, browser: Chrome, scheme: str, view: str
) -> None:
    prefix = f"{scheme}{view[:3]}"
    fill(hub, prefix, 2)
    until(hub, "/api/nodes", f'"{prefix}1"')
    browser.get(f"{hub.url}/{view.format(f'{prefix}1')}")
    page = Page(browser)
    page.until("document.querySelector('[data-state=live]') !== null")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert browser.execute_async_script(RUN) == []
    browser.get_log("browser")
    browser.get("about:blank")


@pytest.mark.parametrize("shown", ["form", ".join-line"])
def test_axe_finds_nothing_in_the_dialog_that_adds_a_node(
    hub: HubProcess, browser: Chrome, scheme: str, shown: str
) -> None:
    del scheme  # it is set on the browser
    browser.get(f"{hub.url}/system")
    page = Page(browser)
    page.until("document.querySelector('#joins')?.hidden === false")
    browser.find_element(By.CSS_SELECTOR, "#joins .add-node").click()
    page.until("document.getElementById('join-dialog').open")
    browser.execute_script(
        "for (const part of ['form', '.join-line'])"
        " document.querySelector(`#join-dialog ${part}`).hidden = part !== arguments[0];",
        shown,
    )
    browser.execute_script(
        "for (const [part, text] of [['.joining', 'Add pi4'], ['.line', 'curl | sudo sh']])"
        " document.querySelector(`#join-dialog ${part}`).textContent = text;"
    )
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert browser.execute_async_script(RUN) == []
    browser.get_log("browser")
    browser.get("about:blank")


def test_axe_finds_nothing_in_a_sensor_with_its_menu_open(
    hub: HubProcess, browser: Chrome, scheme: str
) -> None:
    node = f"{scheme}sensor1"
    fill(hub, f"{scheme}sensor", 2)
    until(hub, f"/api/history?sensor={node}:dht22-a&width=100", '"series":[{')
    browser.get(f"{hub.url}/sensor/{node}/dht22-a")
    page = Page(browser)
    page.until("document.querySelector('.chart-exports button') !== null")
    # Its one reading is of another day.
    browser.execute_script(
        "const {chart} = document.querySelector('.chart'); chart.append(0, chart.to, 20);"
        "document.querySelector('.chart-exports button').click()"
    )
    page.until("document.activeElement.matches('.chart-menu a')")
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert browser.execute_async_script(RUN) == []
    browser.get_log("browser")
    browser.get("about:blank")
