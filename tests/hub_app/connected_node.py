"""Nodes that answer commands, and waiting for changes of the hub's state."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from bus.contract.messages import Buzzer, PluginState, Result, encode
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.samples import NOW_MS
from tests.support import WAIT_S


def until(hub: HubProcess, path: str, wanted: str) -> None:
    """Wait until a response contains `wanted`; messages reach the hub with a delay."""
    eventually(lambda: wanted in hub.http.get(path).text, f"{path} never contained {wanted}")


def eventually(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until `is_so` returns True, or fail with the message `otherwise`."""
    waiting = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if is_so():
            return
        waiting.wait(0.02)
    pytest.fail(otherwise)


def remove_all_nodes(hub: HubProcess) -> None:
    """Remove every node, as the page does."""
    for each in hub.http.get("/api/nodes").json()["nodes"]:
        answer = hub.http.post(f"/api/nodes/{each['node']}/remove", json={"history": False})
        assert answer.json()["ok"], answer.text


@contextmanager
def buzzer_node(hub: HubProcess, node: str, error: str = "") -> Iterator[None]:
    """Answer one buzzer command as a node does."""
    hub.publish(Topic(node, TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
    with _answering(hub, node, "buzzer", error):
        yield


@contextmanager
def plugin_node(hub: HubProcess, plugin: Topic, error: str = "") -> Iterator[list[tuple[str, str]]]:
    """Answer one command for a plugin; yield the list of (plugin, action) received."""
    hub.publish(plugin, PluginState("running", "", NOW_MS, 0))
    commands: list[tuple[str, str]] = []

    def note(command: dict[str, str]) -> None:
        commands.append((command["plugin"], command["action"]))

    with _answering(hub, plugin.node, "plugins", error, note):
        yield commands


@contextmanager
def setting_node(hub: HubProcess, node: str, error: str = "") -> Iterator[list[dict[str, object]]]:
    """Answer one command for a plugin; yield the list of commands received."""
    commands: list[dict[str, object]] = []
    with _answering(hub, node, "plugins", error, commands.append):
        yield commands


@contextmanager
def named_node(hub: HubProcess, node: str, error: str = "") -> Iterator[list[dict[str, str]]]:
    """Answer one command that names something; yield the list of commands received."""
    commands: list[dict[str, str]] = []
    with _answering(hub, node, "names", error, commands.append):
        yield commands


@contextmanager
def output_node(
    hub: HubProcess, node: str, actuator: str, error: str = ""
) -> Iterator[list[dict[str, Any]]]:
    """Answer one command for an actuator; yield the list of commands received."""
    commands: list[dict[str, Any]] = []
    with _answering(hub, node, actuator, error, commands.append):
        yield commands


@contextmanager
def _answering(
    hub: HubProcess,
    node: str,
    actuator: str,
    error: str,
    note: Callable[[dict[str, Any]], None] = lambda _command: None,
) -> Iterator[None]:
    until(hub, "/api/nodes", f'"{node}"')
    before = len(hub.bus.said)

    def answer() -> None:
        said = hub.bus.wait_topic(f"harvester/{node}/{actuator}/cmd", after=before)
        command = msgspec.json.decode(said.payload)
        note(command)
        result = Result(command["id"], ok=not error, error=error, finished_ms=NOW_MS)
        hub.bus.publish(Topic(node, TopicKind.RESULT, actuator), encode(result))

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join(WAIT_S)
