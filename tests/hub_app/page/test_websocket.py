"""MQTT from a web page: the browser connects from the hub's own host, and from no other."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from broker.auth import accounts
from broker.auth.gate import Role
from bus.config.hub_files import ACCOUNTS_NAME
from tests.broker.auth.hub import hub_bus
from tests.broker.embedded.raw import connect
from tests.support import HOST, WAIT_S, free_port

PASSWORD = "correct horse"
# Returns the bytes of the first answer, or the close code.
CLIENT = """
const [url, hello, done] = arguments;
const socket = new WebSocket(url, "mqtt");
socket.binaryType = "arraybuffer";
socket.onopen = () => socket.send(new Uint8Array(hello));
socket.onmessage = (event) => done(Array.from(new Uint8Array(event.data)));
socket.onclose = (event) => done(event.code);
"""
CONNACK, ABNORMAL = [0x20, 2, 0, 0], 1006


@pytest.mark.parametrize(("host", "said"), [(HOST, CONNACK), ("localhost", ABNORMAL)])
def test_a_page_of_the_hubs_host_connects(
    browser: Chrome, tmp_path: Path, host: str, said: list[int] | int
) -> None:
    port = free_port()
    accounts.set_password(tmp_path / ACCOUNTS_NAME, "ann", Role.VIEWER, PASSWORD)
    hello = connect("page", username="ann", password=PASSWORD.encode())
    with hub_bus(tmp_path, broker__websocket_port=port):
        browser.set_script_timeout(WAIT_S)
        # The listener's own answer to whoever does not ask for a WebSocket.
        browser.get(f"http://{host}:{port}/")
        address = f"ws://{HOST}:{port}/mqtt"
        assert browser.execute_async_script(CLIENT, address, list(hello)) == said
        browser.get("about:blank")
