"""The page as a real browser shows it."""

from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support import WAIT_S

# A busy machine may starve the browser, or the hub, for seconds.
_WAIT_S = 30
# What browsers of 2020 do not have yet.
_OLDER = """
delete Object.hasOwn; delete Array.prototype.at; delete Array.prototype.findLast;
delete String.prototype.at; delete String.prototype.replaceAll; delete window.structuredClone;
delete Element.prototype.replaceChildren; delete Promise.any; delete Object.groupBy;
delete HTMLDialogElement.prototype.showModal; delete crypto.randomUUID;
"""


@contextmanager
def browser_of_2020(driver: Chrome) -> Iterator[None]:
    """Take from every new document what browsers of 2020 do not have."""
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _OLDER})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def complaints(driver: Chrome) -> list[str]:
    """Return what the browser logged of a page.

    Without failures of the network, advice on canvases whose pixels are read, and an icon of the
    manifest that was still on its way when the page was left.
    """
    quiet = ("network", "rendering")
    said = [line for line in driver.get_log("browser") if line["source"] not in quiet]
    return [line["message"] for line in said if "icon from the Manifest" not in line["message"]]


class Page:
    """The page in a real browser, accessed through the DOM only."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def until(self, script: str, *arguments: object) -> object:
        """Wait until a JavaScript expression is true; return what it gave."""
        waiting = WebDriverWait(self.driver, WAIT_S, 0.05)
        return waiting.until(lambda d: d.execute_script(f"return {script}", *arguments), script)

    def until_field(self, topic: str, field: str, text: str) -> None:
        selector = f'[data-topic="{topic}"] [data-field="{field}"] .value'
        self.until(
            "document.querySelector(arguments[0])?.textContent === arguments[1]", selector, text
        )

    def until_text(self, text: str) -> None:
        self.until("document.body.textContent.includes(arguments[0])", text)

    def until_at(self, address: str) -> None:
        """Wait for an address; asks the browser, so that a page without scripts will do."""
        waiting = WebDriverWait(self.driver, WAIT_S, 0.05)
        waiting.until(lambda d: d.current_url == address, address)

    def until_there(self, selector: str) -> WebElement:
        """Wait for an element; asks the browser, as `until_at` does."""
        waiting = WebDriverWait(self.driver, WAIT_S, 0.05)
        return waiting.until(lambda d: next(iter(d.find_elements("css selector", selector)), None))
