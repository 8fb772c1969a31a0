"""The dialog that adds a node, in a real browser."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from broker.auth import tokens
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.nodes.join.site import Site, body
from tests.hub_app.page.browser import Page, complaints
from tests.hub_app.whole_hub import status
from tests.support import wait_until_listening


class Dialog(Page):
    """The dialog, opened on the view of the hub."""

    def open(self, site: Site) -> None:
        self.driver.get(f"{site.hub.http.base_url}/system")
        self.until("document.querySelector('#joins')?.hidden === false")
        self.press("#joins .add-node")
        self.until("document.getElementById('join-dialog').open")

    def fill(self, **texts: str) -> None:
        for name, text in texts.items():
            found = self.driver.find_element(By.CSS_SELECTOR, f"#join-dialog [name={name}]")
            found.clear()
            found.send_keys(text)

    def press(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def until_state(self, words: str) -> None:
        state = "document.querySelector('#join-dialog .join-state').textContent"
        self.until(f"{state}.includes(arguments[0])", words)

    def make_line(self) -> str:
        self.press("#join-dialog [value=make]")
        line = "document.querySelector('#join-dialog .line').textContent"
        return str(self.until(f"{line} !== '' && {line}"))


@pytest.fixture
def dialog(site: Site, browser: Chrome) -> Iterator[Dialog]:
    found = Dialog(browser)
    found.open(site)
    yield found
    said = complaints(browser)
    browser.get("about:blank")
    assert said == []


def test_a_node_is_added_and_followed_until_it_is_online(site: Site, dialog: Dialog) -> None:
    dialog.fill(node="attic", area="House", dht22="4, 17", leds="11", fan="27")
    line = dialog.make_line()
    assert line.startswith("curl ")
    assert line.endswith("| sudo sh")
    dialog.until_state("attic: waits for the machine")
    dialog.until(
        "/14 min \\d+ s left/.test(document.querySelector('#join-dialog .left').textContent)"
    )
    dialog.press("#join-dialog .copy")
    dialog.until("getSelection().toString().trim() === arguments[0]", line)
    wait_until_listening(site.join_port)
    code, token = line.split("/join/")[1].split()[0], tokens.new_token()
    with site.client() as machine:
        assert "asks='no'" in machine.get(f"/join/{code}").text
        dialog.until_state("attic: the machine installs the program")
        answer = machine.post(f"/join/{code}", json=body(token)).json()
    assert answer["area"] == "House"
    assert answer["attached"] == {
        "dht22": [4, 17],
        "leds": 11,
        "leds_pin": 10,
        "buzzer": None,
        "fan": 27,
    }
    dialog.until_state("attic: joined")
    with site.hub.node("attic", token) as node:
        node.publish(Topic("attic", TopicKind.STATUS), status("online"))
        dialog.until_state("attic is joined, and online")
    link = dialog.driver.find_element(By.CSS_SELECTOR, ".join-state a").get_property("href")
    assert str(link).endswith("/node/attic")


def test_a_refusal_is_told_in_the_dialog(dialog: Dialog) -> None:
    dialog.fill(node="twice", dht22="4", fan="4")
    dialog.press("#join-dialog [value=make]")
    refused = "document.querySelector('#join-dialog .refused').textContent"
    dialog.until(f"{refused} === 'attached: found pin 4 twice, expected each pin once'")


def test_a_code_is_revoked_in_the_dialog(site: Site, dialog: Dialog) -> None:
    dialog.fill(node="mistake")
    code = dialog.make_line().split("/join/")[1].split()[0]
    dialog.until_state("mistake: waits for the machine")
    dialog.press("#join-dialog .revoke")
    dialog.until_state("the code was revoked")
    wait_until_listening(site.join_port)
    with site.client() as machine:
        assert machine.get(f"/join/{code}").status_code == 404
    dialog.press("#join-dialog .close")
    # The line has the code: it is shown once.
    dialog.press("#joins .add-node")
    assert dialog.until("document.querySelector('#join-dialog .line').textContent === ''")
