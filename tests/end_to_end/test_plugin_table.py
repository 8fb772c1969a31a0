"""The plugin table of the page, with real agents."""

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.end_to_end.conftest import System
from tests.support import WAIT_S, Listener

ROW = "tr[data-topic='harvester/pi4/plugins/oled']"
STATE = f"{ROW} .state .value"
VERSION = f"{ROW} .sha256 .value"


def test_a_plugin_is_disabled_and_enabled_from_the_page(
    system: System, listener: Listener, browser: webdriver.Chrome
) -> None:
    browser.get(system.page)
    # The page may be rendered again at any time, which replaces elements that were found before.
    waiting = WebDriverWait(
        browser, WAIT_S, 0.1, [NoSuchElementException, StaleElementReferenceException]
    )

    def shows(selector: str, text: str) -> None:
        waiting.until(lambda b: b.find_element(By.CSS_SELECTOR, selector).text == text, text)

    shows(STATE, "running")
    waiting.until(lambda b: len(b.find_element(By.CSS_SELECTOR, VERSION).text) == 8)
    states = {"disable": "disabled by command", "enable": "running", "reload": "running"}
    for action, state in states.items():
        button = f"{action}-pi4-oled"
        waiting.until(lambda b, i=button: b.find_element(By.ID, i).click() is None)
        shows("#plugin-answer", f"oled of pi4: {action} done")
        shows(STATE, state)
