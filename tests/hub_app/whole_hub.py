"""A whole hub with its own broker and accounts, and nodes that log in to it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.client.client import BusClient
from bus.client.login import Login
from bus.contract.messages import Status
from bus.contract.topics import Topic, TopicKind
from harvester import cli
from tests.http_client import http_client
from tests.support import (
    HOST,
    Listener,
    Service,
    free_port,
    settings,
    wait_until,
    wait_until_listening,
)

NOW_MS = time.time_ns() // 1_000_000


class Hub:
    """A hub in a folder, which can be stopped and started, and the commands of a person on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.web_port, self.mqtt_port = free_port(), free_port()
        self.http = http_client(f"http://{HOST}:{self.web_port}")
        (directory / "dashboard").mkdir()
        (directory / "dashboard" / "dashboard.wasm").touch()
        self.config = directory / "hub.toml"
        self.config.write_text(
            f'[cluster]\nnode_id = "revpi"\nrole = "hub"\n[storage]\nstate_dir = "{self.state}"\n'
        )

    @contextlib.contextmanager
    def running(self, **keys: object) -> Iterator[Service]:
        """Run the hub; `keys` are further settings of its configuration."""
        arguments = settings(
            cluster__role="hub",
            cluster__node_id="revpi",
            web__listen=HOST,
            web__port=self.web_port,
            broker__listen=HOST,
            broker__port=self.mqtt_port,
            storage__state_dir=self.state,
            plugins__directory=self.directory,
            history__commit_s=0.2,
            **keys,
        )
        command = ["--config", os.devnull, *arguments]
        with Service("tests.hub_app.hub_process", command, self.directory / "log") as service:
            wait_until_listening(self.web_port)
            yield service

    def nodes(self) -> set[str]:
        return {node["node"] for node in self.http.get("/api/nodes").json()["nodes"]}

    def sensors(self) -> set[str]:
        return {it["sensor_id"] for it in self.http.get("/api/readings").json()["readings"]}

    def retained(self, node: str) -> list[str]:
        """Return the retained topics of a node, which come before the listener's own message."""
        with Listener(self.mqtt_port, f"harvester/{node}/#") as ears:
            ears.publish(Topic(node, TopicKind.COMMAND, "fan"), b"auto")
            ears.wait_topic(f"harvester/{node}/fan/cmd")
            return [str(said.topic) for said in ears.said if said.topic.kind != TopicKind.COMMAND]

    def run(self, *arguments: str) -> None:
        cli.main([*arguments, "--config", str(self.config)])

    @contextlib.contextmanager
    def node(self, name: str, token: str) -> Iterator[BusClient]:
        client = BusClient(
            (HOST, self.mqtt_port),
            client_id=name,
            login=Login(username=name, token=token),
            will=(Topic(name, TopicKind.STATUS), status("offline")),
        )
        client.start()
        try:
            wait_until(lambda: client.connected)
            yield client
        finally:
            client.stop()


def status(state: str) -> Status:
    return msgspec.convert(
        {"state": state, "role": "spoke", "version": "1", "boot_id": "b", "since_ms": NOW_MS},
        Status,
    )
