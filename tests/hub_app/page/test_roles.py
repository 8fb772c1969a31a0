"""The views of a sensor and of the alarms in a real browser, for an operator and for a viewer."""

import re
from collections.abc import Iterator

import httpx
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from broker.auth import accounts
from broker.auth.gate import Role
from bus.clock import now_ms
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.description import About
from bus.contract.messages import Backlog, PluginState, Reading
from bus.contract.topics import Topic, TopicKind
from tests.default_descriptions import description_of
from tests.http_client import http_client
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.page.browser import complaints
from tests.hub_app.page.gestures import touch
from tests.hub_app.page.sensor_page import CHART, SensorPage, phone

PASSWORD = "kims own secret"
NODE, SENSOR = "attic", "dht22-gpio4"
PATH = f"/sensor/{NODE}/{SENSOR}"
MENU = ".chart-card .chart-menu"
# What an operator's views have and a viewer's have not.
CONTROLS = (
    *("data-operates", "data-remove=", "data-name-of=", "data-settings-of=", "<dialog"),
    *("data-act=", "data-rule=", "data-delete=", 'id="rule-form"'),
)
COMMANDS = (
    ("POST", f"/api/sensors/{NODE}:{SENSOR}/remove"),
    ("POST", "/api/names"),
    ("POST", "/api/join-codes"),
    ("DELETE", "/api/join-codes/pi4"),
    ("POST", "/api/alarms/rules"),
    ("DELETE", "/api/alarms/rules/too-warm"),
    ("POST", f"/api/alarms/{NODE}/too-warm--{SENSOR}/ack"),
    ("POST", f"/api/alarms/{NODE}/too-warm--{SENSOR}/mute"),
)


def introduce(hub: HubProcess, sensor: str) -> None:
    """Publish a sensor with an hour of readings that rise from 20 to 26 degrees."""
    from_ms = now_ms() - 3_600_000
    taken = [
        Reading(NODE, sensor, from_ms + n * 60_000, sensor, n, {"temperature": 20 + n / 10})
        for n in range(61)
    ]
    hub.publish(Topic(NODE, TopicKind.SENSOR, sensor), description_of(sensor, "Attic", "House"))
    hub.publish(Topic(NODE, TopicKind.BACKLOG), Backlog(taken[:-1]))
    hub.publish(Topic(NODE, TopicKind.READING, sensor), taken[-1])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with an alarm of its sensor, on which `hub.http` is the operator."""
    directory = tmp_path_factory.mktemp("roles")
    file = directory / "state" / ACCOUNTS_NAME
    accounts.set_password(file, "kim", Role.VIEWER, PASSWORD)
    accounts.set_password(file, "lee", Role.OPERATOR, PASSWORD)
    with running_hub(directory, web__login="true") as running:
        running.http.post("/login", data={"name": "lee", "password": PASSWORD})
        rule = {"name": "too-warm", "field": "temperature", "above": 25}
        assert running.http.post("/api/alarms/rules", json=rule).status_code == 200
        about = About("", "", "", "", "", "", {}, {"names": ["sensor", "title", "area"]})
        running.publish(Topic(NODE, TopicKind.ABOUT), about)
        plugin = PluginState("running", "", now_ms(), 0)
        running.publish(Topic(NODE, TopicKind.PLUGIN, "dht22"), plugin)
        introduce(running, SENSOR)
        until(running, "/api/alarms", f"too-warm--{SENSOR}")
        until(running, f"/api/history?sensor={NODE}:{SENSOR}&width=100", '"points":[[')
        yield running


@pytest.fixture
def viewer(hub: HubProcess) -> Iterator[httpx.Client]:
    with http_client(hub.url) as client:
        client.post("/login", data={"name": "kim", "password": PASSWORD})
        yield client


@pytest.fixture
def page(hub: HubProcess, browser: Chrome) -> Iterator[SensorPage]:
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    yield SensorPage(browser)
    said = complaints(browser)
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.get("about:blank")
    assert said == []


def open_as(page: SensorPage, hub: HubProcess, name: str, path: str = PATH) -> None:
    """Log in and open a sensor at its last hour."""
    page.driver.get(f"{hub.url}/login")
    page.driver.find_element(By.ID, "name").send_keys(name)
    page.driver.find_element(By.ID, "password").send_keys(PASSWORD, Keys.ENTER)
    page.until_at(f"{hub.url}/")
    page.open(hub, path, range="1h")


def offered(page: SensorPage) -> list[str]:
    """Wait for the menu; return its links' texts."""
    page.until(f"document.querySelector('{MENU}')?.offsetWidth > 0")
    texts: list[str] = page.run(
        f"return [...document.querySelectorAll('{MENU} a')].map((link) => link.textContent)"
    )
    return texts


def value_of(texts: list[str]) -> float:
    """Return the value of both links."""
    found = [re.fullmatch(r"Alarm (above|below) ([0-9.]+) °C", text) for text in texts]
    assert [match and match[1] for match in found] == ["above", "below"]
    (value,) = {match[2] for match in found if match}
    return float(value)


def test_a_click_on_a_chart_makes_an_alarm_at_that_value(hub: HubProcess, page: SensorPage) -> None:
    open_as(page, hub, "lee")
    page.chain_to(24.3).click().perform()
    value = value_of(offered(page))
    per_pixel = page.run(
        f"const {{valueAt}} = {CHART}.place.scales[0]; return valueAt(100) - valueAt(200)"
    )
    assert value == pytest.approx(24.3, abs=0.05 + 2 * per_pixel / 100)
    # A click elsewhere takes the offer back, and another one makes a new one.
    page.driver.find_element(By.ID, "title").click()
    page.until(f"document.querySelector('{MENU}').hidden")
    page.chain_to(22.0).click().perform()
    value = value_of(offered(page))
    assert value == pytest.approx(22.0, abs=0.05 + 2 * per_pixel / 100)
    page.driver.find_element(By.CSS_SELECTOR, f"{MENU} a:last-child").click()
    form = page.until_there("#rule-form")
    page.until("document.querySelector('[data-state=live]') !== null")
    inputs = {each.get_property("name"): each for each in form.find_elements("tag name", "input")}
    given = {name: found.get_property("value") for name, found in inputs.items()}
    assert given["name"] == "temperature-below-dht22-gpio4"
    assert (given["node"], given["sensor"], given["field"]) == (NODE, SENSOR, "temperature")
    assert (given["above"], float(str(given["below"]))) == ("", value)
    page.run("document.querySelector('#rule-form button').click()")
    page.until_there("#rule-temperature-below-dht22-gpio4")
    page.open(hub, PATH, range="1h")
    page.until(f"{CHART}.limits.some((limit) => limit.value === arguments[0])", value)


def test_a_tap_offers_an_alarm_and_a_drag_or_a_pinch_does_not(
    hub: HubProcess, page: SensorPage
) -> None:
    with phone(page):
        open_as(page, hub, "lee")
        page.run("document.querySelector('.chart').scrollIntoView({block: 'center'})")
        top, left = page.run(
            "const {top, left} = document.querySelector('.chart').getBoundingClientRect();"
            "return [top, left]"
        )
        x, y = page.place(23.0)
        at = left + x, top + y
        touch(page.driver, (at, (at[0] + 60, at[1])))
        page.until(f"{CHART}.cursor !== null")
        touch(page.driver, (at, at), ((at[0] + 40, at[1]), (at[0] + 90, at[1])))
        page.until(f"{CHART}.to - {CHART}.from < 3500000")
        assert page.run(f"return document.querySelector('{MENU}').hidden")
        touch(page.driver, (at, at))
        assert value_of(offered(page)) == pytest.approx(page.run(f"return {CHART}.marked"))
        box = page.run(
            f"const {{left, right}} = document.querySelector('{MENU}').getBoundingClientRect();"
            "return [left, right]"
        )
        assert 0 <= box[0] < box[1] <= 390
        page.driver.find_element(By.CSS_SELECTOR, f"{MENU} a").click()
        page.until_there("#rule-form [name=above][value]:not([value=''])")


def test_enter_offers_an_alarm_at_the_cursor_and_escape_returns_to_the_chart(
    hub: HubProcess, page: SensorPage
) -> None:
    open_as(page, hub, "lee")
    page.run("document.querySelector('.chart').focus()")
    page.area.send_keys(Keys.HOME, Keys.ARROW_RIGHT, Keys.ENTER)
    mean = page.run(
        f"const {{series: [air], cursor}} = {CHART}; return air.means[cursor.points[0]]"
    )
    assert value_of(offered(page)) == pytest.approx(mean, abs=0.051)
    focused = "document.activeElement.textContent"
    assert page.run(f"return {focused}").startswith("Alarm above")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("document.activeElement === document.querySelector('.chart')")
    assert page.run(f"return document.querySelector('{MENU}').hidden")
    # The button of each chart does the same at the newest value.
    page.driver.find_element(By.CSS_SELECTOR, ".chart-exports button").send_keys(Keys.ENTER)
    value_of(offered(page))
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.until_there("#rule-form [name=above][value]:not([value=''])")


def test_a_viewer_sees_charts_and_alarms_without_controls(
    hub: HubProcess, page: SensorPage, viewer: httpx.Client
) -> None:
    for path in (PATH, "/alarms", "/system"):
        shown = hub.http.get(path).text
        found = viewer.get(path).text
        assert any(control in shown for control in CONTROLS)
        assert [control for control in CONTROLS if control in found] == []
        assert path == "/system" or "°C" in found
    open_as(page, hub, "kim")
    buttons = page.run(
        "return [...document.querySelectorAll('main button')].map((each) => each.textContent)"
    )
    assert {"PNG", "CSV"} < set(buttons)
    assert {"Alarm", "Name", "Settings", "Remove"}.isdisjoint(buttons)
    page.chain_to(23.0).click().perform()
    page.area.send_keys(Keys.ENTER)
    assert page.run(f"return document.querySelector('{MENU}')") is None
    page.driver.get(f"{hub.url}/alarms")
    page.until_there(f"#active [data-alarm='too-warm--{SENSOR}']")
    page.until("document.querySelector('[data-state=live]') !== null")
    assert page.run("return document.querySelectorAll('main button, main form').length") == 0


@pytest.mark.parametrize(("method", "path"), COMMANDS)
def test_a_command_of_a_viewer_is_refused(viewer: httpx.Client, method: str, path: str) -> None:
    refused = viewer.request(method, path, json={} if method == "POST" else None)
    assert refused.status_code == 403
    assert refused.json()["error"] == "kim may look, but not command"


def test_a_sensor_leads_to_its_node_and_is_removed_when_asked_once(
    hub: HubProcess, page: SensorPage
) -> None:
    introduce(hub, "dht22-old")
    until(hub, f"/api/history?sensor={NODE}:dht22-old&width=100", '"points":[[')
    open_as(page, hub, "lee", f"/sensor/{NODE}/dht22-old")
    links = "[...document.querySelectorAll('main > nav a')].map((link) => link.pathname).join()"
    assert page.run(f"return {links}") == f"/,/node/{NODE}"
    button = page.driver.find_element(By.ID, "remove")
    button.click()
    page.until_text(f"Remove {NODE}:dht22-old? It is gone from the page")
    page.driver.find_element(By.CSS_SELECTOR, "#remove-dialog [value=cancel]").click()
    page.until("!document.getElementById('remove-dialog').open")
    assert "dht22-old" in hub.http.get("/api/readings").text
    button.click()
    page.driver.find_element(By.CSS_SELECTOR, "#remove-dialog [value=remove]").click()
    page.until_at(f"{hub.url}/")
    assert "dht22-old" not in hub.http.get("/api/readings").text
