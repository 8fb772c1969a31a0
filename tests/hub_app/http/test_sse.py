"""The event stream, and reconnection with the id of the last event."""

import json
import socket

import msgspec

from bus.contract.messages import Fan, Oled
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.samples import NOW_MS, reading
from tests.support import HOST, WAIT_S

FAN = Topic("pi8", TopicKind.FAN)


def first_event(hub: HubProcess, last_id: int | None) -> tuple[int, dict[str, object]]:
    """Return the id and the content of the first event of a stream."""
    header = f"Last-Event-ID: {last_id}\r\n" if last_id is not None else ""
    with socket.create_connection((HOST, hub.web_port), WAIT_S) as stream:
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: {HOST}\r\n{header}\r\n".encode())
        received = b""
        while b"\n\n" not in received.partition(b"id: ")[2]:
            chunk = stream.recv(65536)
            assert chunk
            received += chunk
    number, _, rest = received.partition(b"id: ")[2].partition(b"\nevent: snapshot\ndata: ")
    return int(number), json.loads(rest.partition(b"\n\n")[0].split(b"\r\n")[0])


def fan_in(snapshot: dict[str, object]) -> object:
    entries = snapshot["entries"]
    assert isinstance(entries, list)
    return next(entry["value"] for entry in entries if entry["topic"] == str(FAN))


def test_a_browser_that_reconnects_gets_a_new_snapshot_with_what_it_missed(
    hub: HubProcess,
) -> None:
    hub.publish(FAN, Fan(on=False, mode="auto"))
    until(hub, "/api/nodes", '"pi8"')
    last_id, before = first_event(hub, None)
    hub.publish(FAN, Fan(on=True, mode="on"))
    until(hub, "/api/nodes", '"fan":{"on":true,"mode":"on"}')
    next_id, after = first_event(hub, last_id)
    assert next_id > last_id
    assert (fan_in(before), fan_in(after)) == (
        {"on": False, "mode": "auto"},
        {"on": True, "mode": "on"},
    )
    # An id from an earlier run of the hub is accepted, too.
    assert fan_in(first_event(hub, 10**9)[1]) == fan_in(after)


def test_a_new_browser_gets_a_snapshot_first(hub: HubProcess) -> None:
    hub.publish(*reading(node="s1"))
    until(hub, "/api/readings", "s1:dht22-gpio4")
    with hub.http.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        head = [next(lines) for _ in range(3)]
    assert head[0].startswith("id: ")
    assert head[1] == "event: snapshot"
    assert "s1:dht22-gpio4" in head[2]


def test_an_update_follows_each_message(hub: HubProcess) -> None:
    with hub.http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        hub.publish(*reading(node="u1", temperature=19.25))
        update = next(line for line in lines if "u1/readings" in line)
    assert msgspec.json.decode(update.removeprefix("data: "))["value"]["data"] == {
        "temperature": 19.25
    }


def test_a_view_of_one_sensor_gets_no_other(hub: HubProcess) -> None:
    hub.publish(*reading(node="v1", sensor="room"))
    hub.publish(*reading(node="v1", sensor="attic"))
    until(hub, "/api/readings", "v1:attic")
    with hub.http.stream("GET", "/events?view=sensor&node=v1&sensor=room") as stream:
        lines = stream.iter_lines()
        snapshot = next(line for line in lines if line.startswith("data: "))
        topics = {
            entry["topic"]
            for entry in msgspec.json.decode(snapshot.removeprefix("data: "))["entries"]
        }
        assert topics == {"harvester/v1/status", "harvester/v1/readings/room"}
        hub.publish(*reading(NOW_MS + 1, 2, node="v1", sensor="attic"))
        hub.publish(*reading(NOW_MS + 1, 2, node="v1", sensor="room"))
        assert "v1/readings/room" in next(line for line in lines if "v1/readings" in line)
    wrong = hub.http.get("/events?view=attic")
    assert (wrong.status_code, "expected one of overview, sensor" in wrong.text) == (400, True)


def test_the_stream_carries_no_picture(hub: HubProcess) -> None:
    with hub.http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        hub.publish(
            Topic("o5", TopicKind.OLED), Oled(128, 64, on=True, frame=bytes(range(256)) * 4)
        )
        update = next(line for line in lines if "o5/oled" in line)
    assert len(update) < 300
    value = msgspec.json.decode(update.removeprefix("data: "))["value"]
    assert sorted(value) == ["digest", "height", "on", "width"]
