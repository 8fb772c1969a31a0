"""The page's plugin table beside real agents."""

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.end_to_end.conftest import System
from tests.support import WAIT_S, Listener

ROW = "tr[data-topic='harvester/pi4/plugins/oled']"


def test_a_plugin_is_disabled_and_enabled_from_the_page(
    system: System, ears: Listener, browser: webdriver.Chrome
) -> None:
    browser.get(system.page)
    waiting = WebDriverWait(browser, WAIT_S)

    def shows(state: str) -> None:
        waiting.until(
            lambda b: b.find_element(By.CSS_SELECTOR, f"{ROW} .state .value").text == state, state
        )

    shows("running")
    version = browser.find_element(By.CSS_SELECTOR, f"{ROW} [data-field=sha256]")
    assert len(version.text) == 8
    assert str(version.get_attribute("title")).startswith(version.text)
    for action, state in (("disable", "disabled"), ("enable", "running"), ("reload", "running")):
        browser.find_element(By.ID, f"{action}-pi4-oled").click()
        answer = f"oled of pi4: {action} done"
        waiting.until(lambda b, a=answer: b.find_element(By.ID, "plugin-answer").text == a, answer)
        shows(state)
