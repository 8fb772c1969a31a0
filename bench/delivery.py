"""Delivery of a bundle to 100 nodes through the embedded broker: seconds and bytes.

Signed by the hub for each node, received and verified by each. The peer in the same run is
Mosquitto with the same messages, already signed, from one client. Run from the project's folder:

    python -m bench.delivery [nodes, 100 by default]
"""

import base64
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from bench.virtual_nodes import whole_hub
from broker.auth import bundle_key
from bus.client.client import BusClient
from bus.client.login import Login
from bus.contract.messages import PluginState, SignedBundle, Status, decode
from bus.contract.plugin_file import order
from bus.contract.topics import Topic, TopicKind, parse, topic_filter
from tests.built_components import packed
from tests.support import HOST, PROJECT, WAIT_S, free_port, mosquitto, wait_until

PLUGINS = ("dht22", "bme680")


class Receivers:
    """Clients of nodes, each of which verifies what comes for it."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.key = b""
        self.received: list[tuple[Topic, bytes]] = []
        self._all = threading.Condition()

    def take(self, text: str, payload: bytes) -> None:
        topic = parse(text)
        message = decode(topic, payload)
        if isinstance(message, SignedBundle):
            order.check_content(order.verify(message, self.key, topic), message.bundle)
        with self._all:
            self.received.append((topic, payload))
            self._all.notify_all()

    def wait(self) -> float:
        """Return the time at which all have received something."""
        with self._all:
            assert self._all.wait_for(lambda: len(self.received) == len(self.names), WAIT_S)
        return time.perf_counter()

    @contextlib.contextmanager
    def connected(self, port: int, tokens: dict[str, str]) -> Iterator[list[BusClient]]:
        clients = [
            BusClient(
                (HOST, port),
                client_id=name,
                login=Login(username=name, token=tokens[name]) if tokens else None,
                filters=[topic_filter(TopicKind.BUNDLE, name)],
                on_message=self.take,
            )
            for name in self.names
        ]
        for client in clients:
            client.start()
        try:
            wait_until(lambda: all(client.connected for client in clients))
            yield clients
        finally:
            for client in clients:
                client.stop()


def through_the_hub(plugin: str, bundle: bytes, nodes: Receivers, folder: Path) -> float:
    with whole_hub(folder, nodes.names) as hub:
        (state,) = {path.parent for path in folder.rglob("accounts.json")}
        nodes.key = bytes.fromhex(bundle_key.ensure(state))
        with nodes.connected(hub.port, hub.tokens) as clients:
            for name, client in zip(nodes.names, clients, strict=True):
                status = Status("online", "spoke", "0.1.0", "boot", 1)
                client.publish(Topic(name, TopicKind.STATUS), status)
                client.publish(
                    Topic(name, TopicKind.PLUGIN, plugin), PluginState("running", "", 0, 0)
                )
            url = f"{hub.url}/api/deliveries"
            wait_until(lambda: len(httpx.get(url).json()["plugins"]) == len(nodes.names))
            body = {"plugin": plugin, "bundle": base64.b64encode(bundle).decode(), "all": True}
            start_s = time.perf_counter()
            httpx.post(url, json=body, timeout=WAIT_S).raise_for_status()
            return nodes.wait() - start_s


def through_mosquitto(nodes: Receivers, folder: Path) -> float:
    port, messages = free_port(), nodes.received
    nodes.received = []
    publisher = BusClient((HOST, port), client_id="hub")
    with mosquitto(port, folder), nodes.connected(port, {}):
        publisher.start()
        wait_until(lambda: publisher.connected)
        start_s = time.perf_counter()
        for topic, payload in messages:
            publisher.publish_payload(topic, payload)
        taken_s = nodes.wait() - start_s
        publisher.stop()
    return taken_s


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    bundles = packed(PROJECT / "plugins")
    for plugin in PLUGINS:
        bundle = bundles[plugin].read_bytes()
        nodes = Receivers([f"node-{number:03}" for number in range(count)])
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            hub_s = through_the_hub(plugin, bundle, nodes, folder)
            sent = sum(len(str(topic)) + len(payload) for topic, payload in nodes.received)
            peer_s = through_mosquitto(nodes, folder)
        print(
            f"{plugin}, {len(bundle) / 1e3:.1f} KB, to {count} nodes: {hub_s:.2f} s and "
            f"{sent / 1e6:.2f} MB, signed and verified; Mosquitto, signed before: {peer_s:.2f} s; "
            f"ratio {hub_s / peer_s:.2f}"
        )


if __name__ == "__main__":
    main()
