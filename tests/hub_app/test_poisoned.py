"""Poisoned retained messages of an enrolled node move a real hub neither now nor after a kill."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from broker.auth import accounts
from bus.client.client import BusClient
from bus.client.login import Login
from bus.config import hub_files
from bus.config.settings import ClusterConfig, Config, StorageConfig
from bus.contract.topics import Topic, TopicKind
from tests.http_client import get
from tests.hub_app.connected_node import eventually
from tests.support import HOST, WAIT_S, Service, free_port, settings, wait_until_listening

STATUS = {"state": "online", "role": "spoke", "version": "1", "boot_id": "b", "since_ms": 1}
NUMBERS = ("1.7e308", "-1", "0", "1e400", "9" * 400, "null", '"x"', "[]", "NaN", "true")
HEARTBEAT = {"seq": 1, "uptime_s": 1, "rss_mb": 1, "cycle_ms": 1, "outbox_rows": 1, "dropped": 1}


def poisons() -> Iterator[tuple[Topic, bytes]]:
    """Yield messages that a node may publish and no hub should believe."""
    for number in NUMBERS:
        yield status(interval_s=number)
        yield status(since_ms=number)
        for field in HEARTBEAT:
            text = json.dumps(HEARTBEAT | {"clock_ms": 1, field: "#"}).replace('"#"', number)
            yield Topic("pi4", TopicKind.HEARTBEAT), text.encode()
    for n, number in enumerate(NUMBERS):
        yield reading(f"a{n}", f'{{"x": {number}}}')
        yield reading(f"b{n}", f'{{"{"n" * 200_000}": {n}}}')
        yield reading(f"c{n}", f'{{"x": "{"y" * 100_000}"}}')
        yield reading(f"d{n}", "{" + ", ".join(f'"{n}-{i:078}": 1' for i in range(64)) + "}")
        yield Topic("pi4", TopicKind.PLUGIN, f"p{n}"), b"[" * 50_000
        yield Topic("pi4", TopicKind.OLED), b'{"width": %d, "height": 64}' % (8 << n)
        yield Topic("pi4", TopicKind.LEDS), json.dumps({"pixels": ["#000000"] * 5000}).encode()


def status(**fields: str) -> tuple[Topic, bytes]:
    ((name, number),) = fields.items()
    text = json.dumps(STATUS | {name: "#"}).replace('"#"', number)
    return Topic("pi4", TopicKind.STATUS), text.encode()


def reading(sensor: str, data: str, seq: int = 0) -> tuple[Topic, bytes]:
    known = {"node": "pi4", "sensor_id": sensor, "timestamp_ms": 1, "stream": "s", "seq": seq}
    text = json.dumps(known | {"data": "#"}).replace('"#"', data)
    return Topic("pi4", TopicKind.READING, sensor), text.encode()


class Place:
    """Where a hub with its own broker runs, and an enrolled node's way in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.web_port, self.mqtt_port = free_port(), free_port()
        self.url = f"http://{HOST}:{self.web_port}"
        (directory / "dashboard").mkdir()
        (directory / "dashboard" / "dashboard.wasm").touch()
        (directory / "hub.toml").write_text("")
        state_dir = str(directory / "state")
        config = Config(ClusterConfig(role="hub"), storage=StorageConfig(state_dir=state_dir))
        self.token = accounts.enroll(hub_files.of(config, {}).accounts, "pi4")

    @contextmanager
    def hub(self, log: str) -> Iterator[Service]:
        arguments = settings(
            cluster__role="hub",
            cluster__node_id="revpi",
            web__listen=HOST,
            web__port=self.web_port,
            broker__listen=HOST,
            broker__port=self.mqtt_port,
            plugins__directory=self.directory,
            storage__state_dir=self.directory / "state",
        )
        config = str(self.directory / "hub.toml")
        with Service(
            "tests.hub_app.hub_process", ["--config", config, *arguments], self.directory / log
        ) as service:
            wait_until_listening(self.web_port)
            yield service

    @contextmanager
    def node(self) -> Iterator[BusClient]:
        connected = threading.Event()
        login = Login(username="pi4", token=self.token)
        client = BusClient(
            (HOST, self.mqtt_port), client_id="pi4", login=login, on_connect=connected.set
        )
        client.start()
        try:
            assert connected.wait(WAIT_S)
            yield client
        finally:
            client.stop()

    def get(self, path: str) -> httpx.Response:
        return get(self.url + path)

    def check(self, service: Service) -> None:
        eventually(lambda: self.get("/health").json()["bus_connected"], "the hub lost its broker")
        assert service.process.poll() is None
        health = self.get("/health").json()
        assert all(task["is_up"] and not task["restarts"] for task in health["tasks"])
        for path in ("/", "/metrics", "/api/nodes", "/api/readings", "/api/logs"):
            assert self.get(path).status_code == 200, path
        assert "Traceback" not in service.log.read_text()


def test_poisoned_messages_move_the_hub_neither_now_nor_after_a_kill(tmp_path: Path) -> None:
    place = Place(tmp_path)
    good = reading("good", '{"temperature": 21.5}', seq=1)
    with place.hub("first.log") as service:
        with place.node() as client:
            sent = [*poisons(), good]
            assert len(sent) > 150
            for topic, payload in sent:
                client.publish_payload(topic, payload)
                eventually(lambda: client.in_flight < 10, "the broker acknowledged nothing")
            eventually(lambda: "pi4:good" in place.get("/api/readings").text, "no good reading")
            place.check(service)
        # After the kill it is retained again, as it is in the history.
        path = "/api/history?sensor=pi4:good&from=0&to=1000"
        eventually(lambda: place.get(path).status_code == 200, "the good reading is not stored")
        refused = place.get("/api/nodes").json()["nodes"][0]["refused"]
        assert refused["malformed"] > 50
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(WAIT_S)
    with place.hub("second.log") as service:
        eventually(lambda: "pi4:good" in place.get("/api/readings").text, "no good reading")
        place.check(service)
        assert service.stop() == 0
