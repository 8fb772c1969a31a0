"""A running hub, and nodes that take its bundles with a node's own code, without a sandbox."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from broker.auth import accounts, bundle_key
from bus.client.client import BusClient
from bus.client.login import Login
from bus.config.settings import Config
from bus.contract.description import About
from bus.contract.messages import PluginState
from bus.contract.topics import Topic, TopicKind, parse, topic_filter
from node_agent.delivery.component_source import HubAddress
from node_agent.delivery.deliveries import Deliveries
from tests.hub_app.whole_hub import Hub, status
from tests.signed_bundles import room
from tests.support import HOST, wait_until

GOOD = room("2.0")
BAD = room("3.0", "if polls == 10: raise ValueError('the tenth')")
ROOM = "room"
_CYCLE_S = 0.02


class Node:
    """A node with the plugin `room`, of which a version with the bytes of BAD fails at poll 10."""

    def __init__(self, hub: Hub, name: str, folder: Path, area: str = "") -> None:
        self.name, self._area = name, area
        self.broker_host = HOST
        self.ran: list[bytes] = []
        self.polls = 0
        token = accounts.enroll(hub.state / "accounts.json", name)
        self._login = Login(username=name, token=token)
        self.key = bytes.fromhex(bundle_key.ensure(hub.state))
        self._client = BusClient(
            (HOST, hub.mqtt_port),
            client_id=name,
            login=self._login,
            filters=[topic_filter(TopicKind.BUNDLE, name)],
            on_message=lambda topic, payload: self.deliveries.submit(parse(topic), payload),
        )
        own = folder / "plugins" / ROOM / f"{ROOM}.bundle"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_bytes(room("1.0"))
        self._config = msgspec.convert(
            {
                "cluster": {"node_id": name, "role": "spoke"},
                "plugins": {"enabled": [ROOM], "directory": str(folder / "plugins")},
            },
            Config,
        )
        self._state_dir = folder / name
        self.deliveries = self._start()

    def _start(self) -> Deliveries:
        publish = self._client
        return Deliveries(
            self._config,
            self._state_dir,
            self.key,
            lambda kind, message, name: (
                publish.publish(Topic(self.name, kind, name), message) is not None
            ),
            lambda: HubAddress(self.broker_host, self._login),
        )

    @contextlib.contextmanager
    def online(self) -> Iterator["Node"]:
        self.deliveries = self._start()
        self.polls = 0
        self._client.start()
        try:
            with self.deliveries:
                wait_until(lambda: self._client.connected)
                self._introduce()
                yield self
        finally:
            self._client.publish(Topic(self.name, TopicKind.STATUS), status("offline"))
            self._client.stop()

    def _introduce(self) -> None:
        key = self.key.hex()
        about = About("", self._area, "", "", "", "", {}, {}, key, component_key=key)
        self._client.publish(Topic(self.name, TopicKind.STATUS), status("online"))
        self._client.publish(Topic(self.name, TopicKind.ABOUT), about)
        state = PluginState("running", "", 0, 0, version="1.0")
        self._client.publish(Topic(self.name, TopicKind.PLUGIN, ROOM), state)
        self.deliveries.publish_all()

    def cycle(self) -> None:
        """Do what a plugin's runner does in a cycle."""
        delivery = self.deliveries.of_plugin[ROOM]
        delivery.begin_cycle()
        if (offered := delivery.offered()) is not None:
            self.ran.append(offered.read_bytes())
            delivery.tried()
            self.polls = 0
        self.polls += 1
        path = delivery.path()
        if self.polls == 10 and path.read_bytes() == BAD:
            delivery.failed(path, "Traceback\nValueError: the tenth")
        else:
            delivery.polled(path, self.polls, 0, "")
        self.deliveries.publish_changed()


@contextlib.contextmanager
def cycling(nodes: Sequence[Node]) -> Iterator[None]:
    """Let nodes that are online do their cycles."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(_CYCLE_S):
            for node in nodes:
                node.cycle()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def versions(hub: Hub) -> dict[str, Any]:
    """Return what the hub answers, the plugins by node."""
    found = hub.http.get("/api/deliveries").json()
    return {row["node"]: row for row in found["plugins"] if row["plugin"] == ROOM}


def rollout(hub: Hub) -> dict[str, Any]:
    found = hub.http.get("/api/deliveries").json()
    return next((one for one in found["rollouts"] if one["plugin"] == ROOM), {})
