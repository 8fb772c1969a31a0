"""Removal and renaming of nodes in a running hub with its own broker."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.description import SensorDescription
from bus.contract.messages import Message, Reading, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.query import known_names
from hub_app.nodes.removal import removals
from tests.hub_app.samples import heartbeat
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import wait_until


def say(client: BusClient, node: str, seq: int = 0, stream: str = "s") -> None:
    """Publish what a node says at its start, with one reading."""
    described = SensorDescription("air", "", "", 0.1, {})
    reading = Reading(node, "air", NOW_MS + seq, stream, seq, {"temperature": 20.0}, "air")
    said: list[tuple[Topic, Message]] = [
        (Topic(node, TopicKind.STATUS), status("online")),
        (Topic(node, TopicKind.READING, "air"), reading),
        (Topic(node, TopicKind.SENSOR, "air"), described),
        (Topic(node, TopicKind.HEARTBEAT), heartbeat()),
    ]
    for topic, message in said:
        wait_until(lambda t=topic, m=message: client.publish_payload(t, encode(m)) is not None)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    with made.http:
        yield made


def points(hub: Hub, sensor: str) -> int:
    answer = hub.http.get("/api/history", params={"sensor": sensor, "field": "temperature"})
    return len(answer.json().get("points", [])) if answer.status_code == 200 else 0


def test_a_removed_node_is_gone_from_page_topics_metrics_and_accounts_and_stays_so(
    hub: Hub,
) -> None:
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with hub.running(), hub.node("pi4", token) as client:
        say(client, "pi4")
        wait_until(lambda: "pi4:air" in hub.sensors() and points(hub, "pi4:air"))
    # A backup of the broker's store, in which the node still is.
    shutil.copytree(hub.state / "broker", hub.directory / "backup")
    with hub.running():
        with hub.node("pi4", token) as client:
            say(client, "pi4", seq=1)
            wait_until(lambda: "pi4:air" in hub.sensors() and points(hub, "pi4:air") == 2)
            hub.run("node", "remove", "pi4")
            wait_until(lambda: "pi4" not in hub.nodes())
            wait_until(lambda: not client.connected)
        wait_until(lambda: hub.retained("pi4") == [])
        assert "pi4" not in hub.http.get("/metrics").text
        assert 'data-remove="pi4"' not in hub.http.get("/").text
        # The history is deleted on request only.
        assert points(hub, "pi4:air") == 2
        hub.run("node", "remove", "pi4", "--history")
        wait_until(lambda: not points(hub, "pi4:air"))
    shutil.rmtree(hub.state / "broker")
    shutil.copytree(hub.directory / "backup", hub.state / "broker")
    with hub.running():
        assert hub.retained("pi4") == []
        assert "pi4" not in hub.nodes()
        # A new login lets it in again.
        token = accounts.enroll(hub.state / "accounts.json", "pi4")
        wait_until(lambda: not removals.load(hub.state / removals.FILE_NAME).nodes)
        with hub.node("pi4", token) as client:
            say(client, "pi4", stream="t")
            wait_until(lambda: "pi4:air" in hub.sensors())


def test_a_renamed_node_keeps_its_history(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with hub.running():
        with hub.node("pi4", token) as client:
            say(client, "pi4")
            wait_until(lambda: points(hub, "pi4:air"))
            file = hub.directory / "credentials-garden.toml"
            hub.run("node", "rename", "pi4", "garden", "--host", "::1", "--output", str(file))
            wait_until(lambda: "pi4" not in hub.nodes())
        assert 'node_id = "garden"' in capsys.readouterr().out
        wait_until(lambda: points(hub, "garden:air") == 1)
        assert points(hub, "pi4:air") == 0
        found = msgspec.toml.decode(file.read_bytes())
        with hub.node("garden", found["token"]) as client:
            # The backlog of the outbox comes under the new name, in the same stream.
            say(client, "garden", seq=0)
            say(client, "garden", seq=1)
            wait_until(lambda: points(hub, "garden:air") == 2)
        hub.run("node", "list")
    listed = capsys.readouterr().out
    assert "garden  enrolled" in listed
    assert "pi4     removed" in listed


def test_the_routes_remove_and_rename_and_say_what_is_wrong(hub: Hub) -> None:
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with hub.running(), hub.node("pi4", token) as client:
        say(client, "pi4")
        wait_until(lambda: points(hub, "pi4:air"))
        answer = hub.http.post("/api/sensors/pi4:air/remove", json={"history": True})
        assert answer.json() == {"ok": True, "sensor": "pi4:air", "history": True}
        wait_until(lambda: "pi4:air" not in hub.sensors() and not points(hub, "pi4:air"))
        wait_until(lambda: not hub.http.get("/api/sensors").json()["sensors"])
        assert [topic for topic in hub.retained("pi4") if topic.endswith("/air")] == []
        # A sensor that gives readings is there.
        say(client, "pi4", seq=60_000)
        history = hub.state / known_names.FILE_NAME
        wait_until(lambda: "pi4:air" in hub.sensors() and "pi4" in known_names.nodes(history))
        for path, body in (
            ("/api/nodes/revpi/remove", {}),
            ("/api/nodes/Pi%204/remove", {}),
            ("/api/nodes/pi4/remove", {"all": True}),
            ("/api/nodes/pi4/rename", {"to": "A b"}),
            ("/api/nodes/pi4/rename", {"to": "revpi"}),
            ("/api/nodes/pi4/rename", {}),
            ("/api/sensors/pi4/remove", {}),
            ("/api/sensors/pi4:nosuch/remove", {}),
            ("/api/nodes/nosuch/remove", {}),
            ("/api/nodes/nosuch/rename", {"to": "garden"}),
        ):
            answer = hub.http.post(path, json=body)
            assert (answer.status_code, answer.json()["ok"]) == (400, False), path
        answer = hub.http.post("/api/nodes/pi4/rename", json={"to": "garden"})
        assert answer.json()["ok"], answer.text
        assert "token" not in answer.text
        assert Path(answer.json()["credentials"]).stat().st_mode & 0o077 == 0
        # The history takes the new name with a commit of its own.
        wait_until(lambda: "pi4" not in hub.nodes() and "garden" in known_names.nodes(history))
        answer = hub.http.post("/api/nodes/garden/remove", json={})
        assert answer.json() == {"ok": True, "node": "garden", "history": False}
        # Its history stays, so the name is not free.
        accounts.enroll(hub.state / "accounts.json", "pi5")
        answer = hub.http.post("/api/nodes/pi5/rename", json={"to": "garden"})
        assert answer.status_code == 400
        assert "found a history of garden" in answer.json()["error"]
        assert accounts.load(hub.state / "accounts.json").nodes.keys() == {"pi5", "revpi"}
