"""Log-in and log-out in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from broker.auth import accounts
from broker.auth.gate import Role
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.messages import Buzzer, PluginState
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.page.browser import Page
from tests.hub_app.samples import NOW_MS, reading

PASSWORD = "kims own secret"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("guarded")
    file = directory / "state" / ACCOUNTS_NAME
    accounts.set_password(file, "kim", Role.VIEWER, PASSWORD)
    accounts.set_password(file, "lee", Role.OPERATOR, PASSWORD)
    with running_hub(directory, web__login="true") as running:
        running.publish(
            Topic("pi4", TopicKind.PLUGIN, "oled"), PluginState("running", "", NOW_MS, 0)
        )
        running.publish(Topic("pi4", TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
        yield running


@pytest.fixture
def page(browser: Chrome) -> Iterator[Page]:
    # Those of every address: the ones of a page can be named only while it is shown.
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    yield Page(browser)
    violations = [line for line in browser.get_log("browser") if line["source"] == "security"]
    assert violations == []
    browser.get("about:blank")


def log_in(page: Page, hub: HubProcess, name: str, password: str) -> None:
    page.driver.get(hub.url)
    page.until("location.pathname === '/login'")
    page.driver.find_element(By.ID, "name").send_keys(name)
    page.driver.find_element(By.ID, "password").send_keys(password, Keys.ENTER)


def is_live(page: Page) -> None:
    page.until("document.querySelector('[data-state=live]') !== null")


def test_without_scripts_a_person_logs_in_is_told_what_was_wrong_and_logs_out(
    hub: HubProcess, page: Page
) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.driver.get(hub.url)
        for password in ("not kims secret", PASSWORD):
            page.driver.find_element(By.ID, "name").clear()
            page.driver.find_element(By.ID, "name").send_keys("kim")
            page.driver.find_element(By.ID, "password").send_keys(password)
            page.driver.find_element(By.CSS_SELECTOR, "form button").click()
            if password != PASSWORD:
                alert = page.until_there("[role=alert]:not(:empty)")
                assert alert.text == "wrong name or password"
                field = page.driver.find_element(By.ID, "name")
                assert (field.get_attribute("value"), field.accessible_name) == ("kim", "Name")
        page.until_at(f"{hub.url}/")
        page.until_there("form[action='/logout'] button").click()
        page.until_at(f"{hub.url}/login")
        page.driver.get(hub.url)
        page.until_at(f"{hub.url}/login")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_viewer_sees_all_of_it_live_and_no_button(hub: HubProcess, page: Page) -> None:
    log_in(page, hub, "kim", PASSWORD)
    is_live(page)
    topic, message = reading(node="v1", temperature=20.0)
    hub.publish(topic, message)
    page.until_field(str(topic), "temperature", "20")
    page.until_text("oled")
    labels = [
        b.text
        for b in page.driver.find_elements(By.CSS_SELECTOR, "button:not([role=tab], [hidden])")
    ]
    assert labels == ["Log out"]
    cookie = page.driver.get_cookie("harvester_session")
    assert cookie is not None
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_a_link_on_another_site_shows_the_page_to_a_person_who_is_logged_in(
    hub: HubProcess, page: Page
) -> None:
    log_in(page, hub, "kim", PASSWORD)
    is_live(page)
    page.driver.get(f"data:text/html,<a id=there href='{hub.url}/'>there</a>")
    page.driver.find_element(By.ID, "there").click()
    page.until_at(f"{hub.url}/")
    is_live(page)


def test_an_operator_has_the_buttons(hub: HubProcess, page: Page) -> None:
    log_in(page, hub, "lee", PASSWORD)
    is_live(page)
    page.until("document.getElementById('reload-pi4-oled') !== null")
    assert page.driver.find_elements(By.CSS_SELECTOR, "[data-pattern=beep]")


def test_a_page_whose_session_ended_asks_to_log_in_again_and_comes_back(
    hub: HubProcess, page: Page
) -> None:
    log_in(page, hub, "lee", PASSWORD)
    is_live(page)
    page.driver.get(f"{hub.url}/log?level=info")
    is_live(page)
    # As in another tab: the session ends, this page stays.
    page.driver.execute_script("fetch('/logout', {method: 'POST'})")
    hub.publish(*reading(node="v2", temperature=20.0))
    page.until("location.pathname === '/login'")
    page.driver.find_element(By.ID, "name").send_keys("lee")
    page.driver.find_element(By.ID, "password").send_keys(PASSWORD, Keys.ENTER)
    page.until_at(f"{hub.url}/log?level=info")
    is_live(page)


def test_below_a_path_the_page_is_styled_live_and_logs_out(tmp_path: Path, page: Page) -> None:
    accounts.set_password(tmp_path / "state" / ACCOUNTS_NAME, "lee", Role.OPERATOR, PASSWORD)
    with running_hub(tmp_path, web__login="true", web__root_path="/harvester") as below:
        page.driver.get(f"{below.url}/harvester")
        page.until("location.pathname === '/harvester/login'")
        page.driver.find_element(By.ID, "name").send_keys("lee")
        page.driver.find_element(By.ID, "password").send_keys(PASSWORD, Keys.ENTER)
        page.until_at(f"{below.url}/harvester/")
        is_live(page)
        page.until("[...document.styleSheets].some((sheet) => sheet.cssRules.length > 0)")
        topic, message = reading(node="p1", temperature=20.0)
        below.publish(topic, message)
        page.until_field(str(topic), "temperature", "20")
        page.until_there("form[action='/harvester/logout'] button").click()
        page.until_at(f"{below.url}/harvester/login")
