"""Counters of the embedded broker in a real browser."""

import os
from pathlib import Path

from selenium.webdriver import Chrome

from tests.hub_app.conftest import HubProcess
from tests.hub_app.page.browser import Page
from tests.support import HOST, Listener, Service, free_port, settings, wait_until_listening

CLIENTS = "document.querySelector('[data-figure=clients] .value').textContent"
VISIBLE = "document.getElementById('broker')?.hidden === false"


def test_the_page_shows_counters_of_the_embedded_broker(browser: Chrome, tmp_path: Path) -> None:
    port = free_port()
    arguments = settings(
        cluster__role="hub",
        web__listen=HOST,
        web__port=port,
        broker__listen=HOST,
        broker__port=(broker_port := free_port()),
        storage__state_dir=tmp_path / "state",
        plugins__directory=tmp_path,
    )
    (tmp_path / "dashboard").mkdir()
    (tmp_path / "dashboard" / "dashboard.wasm").touch()
    command = ["--config", os.devnull, *arguments]
    with Service("tests.hub_app.hub_process", command, tmp_path / "log"):
        wait_until_listening(port)
        page = Page(browser)
        browser.get(f"http://{HOST}:{port}/")
        page.until(VISIBLE)
        with Listener(broker_port):
            page.until(f"Number({CLIENTS}) == 1")
        browser.get("about:blank")


def test_a_foreign_broker_has_no_panel(hub: HubProcess, browser: Chrome) -> None:
    browser.get(hub.url)
    page = Page(browser)
    page.until("document.querySelector('[data-state=live]') !== null")
    requested = "performance.getEntriesByType('resource').some(e => e.name.endsWith('/api/broker'))"
    page.until(requested)
    assert not browser.execute_script(f"return {VISIBLE}")
