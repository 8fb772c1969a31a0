"""Fixtures: the hub as a process on free ports, a client that acts as any node, and a browser."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from bus.contract.messages import Message, encode
from bus.contract.topics import Topic
from tests.chromium import chromium
from tests.http_client import http_client
from tests.support import (
    HOST,
    WAIT_S,
    Listener,
    Service,
    embedded_broker,
    free_port,
    settings,
    wait_until_listening,
)


class HubProcess:
    """A running hub, and a client on its bus that publishes for any node.

    With `trust` its page speaks HTTPS.
    """

    def __init__(
        self,
        directory: Path,
        service: Service,
        ports: tuple[int, int],
        bus: Listener,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`ports` are those of the page and of the broker."""
        web_port, mqtt_port = ports
        self.directory = directory
        self.service = service
        self.web_port = web_port
        self.bus_address = (HOST, mqtt_port)
        self.url = f"{'https' if trust else 'http'}://{HOST}:{web_port}"
        self.bus = bus
        self.http = http_client(self.url, trust=trust)

    def wait_until_connected(self) -> None:
        waiting = threading.Event()
        for _ in range(int(WAIT_S / 0.02)):
            if self.http.get("/health").json()["bus_connected"]:
                return
            waiting.wait(0.02)
        pytest.fail("the hub did not connect to the bus")

    def publish(self, topic: Topic, message: Message) -> None:
        """Publish as a node does, and wait until the broker has delivered it."""
        before = len(self.bus.said)
        self.bus.publish(topic, encode(message))
        self.bus.wait_topic(str(topic), after=before)


@contextmanager
def running_hub(
    directory: Path,
    *,
    has_plugin: bool = True,
    trust: ssl.SSLContext | None = None,
    **keys: object,
) -> Iterator[HubProcess]:
    """Run a hub, and a broker that accepts messages of any node from a test.

    Its dashboard plugin is an empty file. `keys` are settings of its configuration; with `trust`
    they say that its page speaks HTTPS.
    """
    wasm = directory / "dashboard" / "dashboard.wasm"
    wasm.parent.mkdir()
    if has_plugin:
        wasm.write_bytes(b"")
    web_port, mqtt_port = free_port(), free_port()
    arguments = settings(
        cluster__role="hub",
        cluster__node_id="revpi",
        web__listen=HOST,
        web__port=web_port,
        broker__url=f"mqtt://{HOST}:{mqtt_port}",
        plugins__directory=directory,
        storage__state_dir=directory / "state",
        **keys,
    )
    config = directory / "hub.toml"
    config.write_text("")
    with ExitStack() as stack:
        stack.enter_context(embedded_broker(mqtt_port))
        service = stack.enter_context(
            Service(
                "tests.hub_app.hub_process",
                ["--config", str(config), *arguments],
                directory / "hub.log",
            )
        )
        wait_until_listening(web_port)
        bus = stack.enter_context(Listener(mqtt_port))
        hub = HubProcess(directory, service, (web_port, mqtt_port), bus, trust)
        stack.callback(hub.http.close)
        hub.wait_until_connected()
        yield hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for all tests of a module; each test uses a node id of its own."""
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver
