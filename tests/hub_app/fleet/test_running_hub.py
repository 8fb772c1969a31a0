"""A hub as a process, with a node, that forwards to a database; both are killed."""

import contextlib
from pathlib import Path

import psycopg
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.description import About, FieldDescription, SensorDescription
from bus.contract.messages import Message, Reading, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.history.schema import open_for_reading
from tests.hub_app.fleet.postgres import PostgresServer
from tests.hub_app.fleet.site import query, stored
from tests.hub_app.whole_hub import NOW_MS, Hub, status
from tests.support import wait_until

pytestmark = pytest.mark.timeout(300)
SENSOR = SensorDescription(
    "air", "Desk", "Office", 2.0, {"temperature": FieldDescription(unit="°C")}
)
ABOUT = About("Pi", "Hall", "", "", "", "", {}, {})


def say(client: BusClient, topic: Topic, message: Message) -> None:
    wait_until(lambda: client.publish_payload(topic, encode(message)) is not None)


def measure(client: BusClient, first: int, last: int) -> None:
    for seq in range(first, last):
        data = {"temperature": seq / 10}
        reading = Reading("pi4", "air", NOW_MS + seq, "s", seq, data, "air")
        say(client, Topic("pi4", TopicKind.READING, "air"), reading)


def in_history(hub: Hub) -> list[tuple[str, str, int]]:
    with contextlib.closing(open_for_reading(hub.state / "history.db")) as db:
        return db.execute(
            "SELECT node, stream, seq FROM readings ORDER BY node, stream, seq"
        ).fetchall()


def are_same(hub: Hub, url: str, least: int) -> bool:
    found = in_history(hub)
    try:
        return len(found) >= least and stored(url) == found
    except psycopg.Error:
        return False


def test_kills_of_hub_and_database_neither_lose_nor_repeat_a_reading(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    hub, url = Hub(tmp_path), postgres.new_database()
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    fleet = {"fleet__url": url, "fleet__site": "berlin", "fleet__interval_s": 0.1}
    with hub.http:
        with hub.running(**fleet) as service, hub.node("pi4", token) as client:
            say(client, Topic("pi4", TopicKind.STATUS), status("online"))
            say(client, Topic("pi4", TopicKind.SENSOR, "air"), SENSOR)
            say(client, Topic("pi4", TopicKind.ABOUT), ABOUT)
            measure(client, 0, 300)
            wait_until(lambda: are_same(hub, url, 300))
            postgres.kill()
            measure(client, 300, 600)
            wait_until(lambda: len(in_history(hub)) == 600)
            wait_until(lambda: "fleet database" in hub.http.get("/health").text)
            postgres.start()
            measure(client, 600, 900)
            wait_until(lambda: len(stored(url)) > 600)
            service.process.kill()
            service.process.wait()
        with hub.running(**fleet), hub.node("pi4", token) as client:
            measure(client, 900, 1000)
            # This node has no outbox: what the killed hub had not stored is lost, here and there.
            wait_until(lambda: ("pi4", "s", 999) in in_history(hub))
            wait_until(lambda: are_same(hub, url, 700))
            wait_until(lambda: hub.http.get("/health").json()["fleet"]["waiting"] == 0)
            assert "harvester_fleet_up 1.0\n" in hub.http.get("/metrics").text
        assert are_same(hub, url, 700)
        row = "SELECT site, area, node, sensor, field, unit, value FROM reading LIMIT 1"
        assert query(url, row)[0][:6] == ("berlin", "Office", "pi4", "air", "temperature", "°C")
        topics = query(url, "SELECT topic FROM entry WHERE value IS NOT NULL")
        assert ("harvester/pi4/readings/air",) in topics
