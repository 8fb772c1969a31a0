import json
from typing import Any

import msgspec
import pytest

from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.messages import Fan, Reading, Status, encode
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError
from node_agent.plugins.bus_view import MAX_BYTES, MAX_NODES, BusView


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_readings_and_roles_are_as_http_has_them_and_each_reading_has_its_age() -> None:
    clock = Clock()
    view = BusView(clock)
    reading = Reading("pi4", "room", 7, "s", 0, {"temperature": 21.5})
    view.hear(Topic("pi4", TopicKind.READING, "room"), encode(reading))
    view.hear(Topic("revpi", TopicKind.STATUS), encode(Status("online", "hub", "1", "b", 1)))
    clock.now_s += 1.5
    room = {"sensor_id": "pi4:room", "timestamp_ms": 7, "age_ms": 1500}
    assert json.loads(view.as_json()) == {
        "readings": [{**room, "data": {"temperature": 21.5}}],
        "last_update": 7,
        "nodes": {"revpi": {"role": "hub", "state": "online"}},
    }


def test_the_newest_reading_of_one_sensor_is_found_by_node_and_name() -> None:
    clock = Clock()
    view = BusView(clock)
    for seq, temperature_c in enumerate((20.5, 21.5)):
        reading = Reading("pi4", "room", 7 + seq, "s", seq, {"temperature": temperature_c})
        view.hear(Topic("pi4", TopicKind.READING, "room"), encode(reading))
    clock.now_s += 60.0
    found = view.latest("pi4", "room")
    assert found is not None
    room = {"sensor_id": "pi4:room", "timestamp_ms": 8, "age_ms": 60_000}
    assert json.loads(found) == {**room, "data": {"temperature": 21.5}}
    assert (view.latest("pi4", "air"), view.latest("attic", "room")) == (None, None)


ROOM = SensorDescription(
    "dht22", "Room", "Attic", 2.0, {"temperature": FieldDescription(label="Temperature", unit="K")}
)
ROOM_TOPIC = Topic("pi4", TopicKind.SENSOR, "room")


def described(view: BusView) -> dict[str, Any]:
    readings = json.loads(view.as_json())["readings"]
    return {reading["sensor_id"]: reading.get("description") for reading in readings}


def test_a_reading_has_what_its_node_says_of_the_sensor_until_that_is_cleared() -> None:
    view = BusView(Clock())
    view.hear(ROOM_TOPIC, encode(ROOM))
    assert described(view) == {}
    hear(view, "pi4", "room")
    hear(view, "pi4", "attic")
    said = msgspec.json.decode(encode(ROOM))
    assert described(view) == {"pi4:room": said, "pi4:attic": None}
    view.hear(ROOM_TOPIC, b"")
    assert described(view) == {"pi4:room": None, "pi4:attic": None}


def test_a_flood_of_descriptions_displaces_its_own_nodes_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    view = BusView(Clock())
    view.hear(ROOM_TOPIC, encode(ROOM))
    hear(view, "pi4", "room")
    fields = {f"f{n}": FieldDescription(label="x" * 80) for n in range(64)}
    large = encode(SensorDescription("p", "", "", 2.0, fields))
    for number in range(300):
        view.hear(Topic("flood", TopicKind.SENSOR, f"s{number}"), large)
        hear(view, "flood", f"s{number}")
    shown = described(view)
    assert shown["pi4:room"] is not None
    assert shown["flood:s299"] is not None
    assert "flood:s0" not in shown
    assert len(view.as_json()) <= 2 * MAX_BYTES
    assert len(caplog.records) == 1


def test_anything_else_is_refused() -> None:
    view = BusView()
    with pytest.raises(BadDataError):
        view.hear(Topic("pi4", TopicKind.FAN), encode(Fan(on=True, mode="on")))
    with pytest.raises(BadDataError):
        view.hear(Topic("pi4", TopicKind.READING, "room"), b"{")


DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


class Bus:
    """Readings as they arrive, on a clock of the test's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.view = BusView(self.clock)

    def hear(self, node: str, sensor: str, timestamp_ms: int) -> None:
        reading = Reading(node, sensor, timestamp_ms, "s", 0, {"temperature": 21.5})
        self.view.hear(Topic(node, TopicKind.READING, sensor), encode(reading))

    def ages_s(self) -> dict[str, float]:
        readings = json.loads(self.view.as_json())["readings"]
        return {reading["sensor_id"]: reading["age_ms"] / 1000 for reading in readings}


def test_one_nodes_clock_a_day_ahead_makes_no_reading_old() -> None:
    bus = Bus()
    bus.hear("pi4", "room", NOW_MS)
    bus.hear("ahead", "room", NOW_MS + DAY_MS)
    bus.hear("behind", "room", 0)
    bus.clock.now_s += 2
    assert bus.ages_s() == {"pi4:room": 2, "ahead:room": 2, "behind:room": 2}


def test_a_retained_reading_of_a_broken_sensor_is_as_old_as_its_nodes_clock_shows() -> None:
    bus = Bus()
    bus.hear("pi4", "broken", NOW_MS - 3_600_000)
    bus.hear("pi4", "room", NOW_MS)
    bus.clock.now_s += 2
    bus.hear("pi4", "room", NOW_MS + 2000)
    assert bus.ages_s() == {"pi4:broken": 3602, "pi4:room": 0}


def test_a_clock_that_is_set_back_does_not_make_later_readings_old() -> None:
    bus = Bus()
    bus.hear("pi4", "room", NOW_MS + DAY_MS)
    bus.clock.now_s += 2
    bus.hear("pi4", "room", NOW_MS + 2000)
    bus.clock.now_s += 1
    assert bus.ages_s() == {"pi4:room": 1}


FIELD_CHARS = 250


def hear(view: BusView, node: str, sensor: str, text: str = "", timestamp_ms: int = 7) -> None:
    parts = [text[at : at + FIELD_CHARS] for at in range(0, len(text), FIELD_CHARS)]
    data = {"temperature": 21.5} | {f"text_{number}": part for number, part in enumerate(parts)}
    reading = Reading(node, sensor, timestamp_ms, "s", 0, data)
    view.hear(Topic(node, TopicKind.READING, sensor), encode(reading))


def sensors(view: BusView) -> list[str]:
    return [reading["sensor_id"] for reading in json.loads(view.as_json())["readings"]]


def test_a_reading_that_is_too_large_is_left_out_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    view = BusView(Clock())
    hear(view, "pi4", "room")
    for number in range(60):
        hear(view, "flood", f"s{number}", "x" * 200_000)
    assert sensors(view) == ["pi4:room"]
    assert len(caplog.records) == 1
    assert "harvester/flood/readings/s0: " in caplog.text
    assert "expected 8192 at most" in caplog.text


def test_a_flood_displaces_the_oldest_readings_of_its_own_node_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    view = BusView(Clock())
    hear(view, "pi4", "room")
    for number in range(500):
        hear(view, "flood", f"s{number}", "x" * 7000)
    shown = sensors(view)
    assert shown[0] == "pi4:room"
    assert shown[-1] == "flood:s499"
    assert len(view.as_json()) <= 2 * MAX_BYTES
    assert len(caplog.records) == 1


def test_nodes_share_the_room_equally(caplog: pytest.LogCaptureFixture) -> None:
    view = BusView(Clock())
    for node in ("a", "b", "c"):
        for number in range(100):
            hear(view, node, f"s{number}", "x" * 4000)
    counts = [sum(id_.startswith(f"{node}:") for id_ in sensors(view)) for node in ("a", "b", "c")]
    assert max(counts) - min(counts) <= 1
    assert "exceed" in caplog.text


def test_a_sensor_that_reports_again_takes_no_more_room() -> None:
    view = BusView(Clock())
    hear(view, "pi4", "room")
    for number in range(500):
        hear(view, "pi4", "display", "x" * 7000, number)
    assert sensors(view) == ["pi4:room", "pi4:display"]


def test_more_nodes_than_a_network_has_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    view = BusView(Clock())
    for number in range(MAX_NODES + 5):
        hear(view, f"n{number}", "room")
        view.hear(
            Topic(f"n{number}", TopicKind.STATUS), encode(Status("online", "hub", "1", "b", 1))
        )
    assert len(sensors(view)) == len(json.loads(view.as_json())["nodes"]) == MAX_NODES
    assert "more than 256 nodes" in caplog.text
