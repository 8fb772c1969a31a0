"""The history of a running hub, filled over the bus and queried over HTTP."""

import contextlib
import csv
import io
import sqlite3
from pathlib import Path

import pytest

from bus.clock import now_ms
from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.messages import Backlog, Reading, Stored
from bus.contract.topics import Topic, TopicKind
from hub_app.http.formats.query_params import iso_8601
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.process.test_server import open_stream

TOPIC = Topic("pi9", TopicKind.READING, "room")
BACKLOG = Topic("pi9", TopicKind.BACKLOG)
# In the middle of a bucket of 20 s, so that the number of buckets is always the same.
BEGAN_MS = (now_ms() - 3_600_000) // 20_000 * 20_000 + 10_000


def reading(seq: int) -> Reading:
    data = {"t": 20.0 + seq, "name": "x"}
    return Reading("pi9", "room", BEGAN_MS + seq * 2000, "s", seq, data, "p")


def wait_stored(hub: HubProcess, seq: int) -> None:
    hub.bus.wait_for(
        lambda received: (
            isinstance(received.message, Stored)
            and any(first <= seq <= last for first, last in received.message.ranges)
        )
    )


@pytest.fixture
def filled(hub: HubProcess) -> HubProcess:
    hub.publish(BACKLOG, Backlog([reading(n) for n in range(100)]))
    wait_stored(hub, 99)
    return hub


def test_what_was_stored_is_answered_as_points(filled: HubProcess) -> None:
    query = {"sensor": "pi9:room", "field": "t", "points": "1000"}
    answer = filled.http.get("/api/history", params=query)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["sensor"], body["field"], body["source"]) == ("pi9:room", "t", "readings")
    assert body["points"][0] == [BEGAN_MS, 20.0, 20.0, 20.0, 1]
    assert len(body["points"]) == 100
    few = filled.http.get("/api/history", params=query | {"points": "3"}).json()["points"]
    assert len(few) <= 3
    assert sum(point[4] for point in few) == 100


def test_points_have_the_label_and_unit_of_their_description(filled: HubProcess) -> None:
    query = {"sensor": "pi9:room", "field": "t"}
    body = filled.http.get("/api/history", params=query).json()
    assert (body["label"], body["unit"]) == ("", "")
    fields = {"t": FieldDescription("Temperature", "\u00b0C")}
    topic = Topic("pi9", TopicKind.SENSOR, "room")
    filled.publish(topic, SensorDescription("p", "", "", 2.0, fields))
    until(filled, "/api/sensors", "pi9:room")
    body = filled.http.get("/api/history", params=query).json()
    assert (body["label"], body["unit"]) == ("Temperature", "\u00b0C")
    # A CSV file keeps its header, which programs read.
    table = filled.http.get("/api/history", params=query | {"format": "csv"}).text
    assert table.splitlines()[0] == "timestamp_ms,t,low,high,count"


def test_a_spreadsheet_gets_csv(filled: HubProcess) -> None:
    query = {"sensor": "pi9:room", "field": "t", "format": "csv"}
    answer = filled.http.get("/api/history", params=query)
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.reader(io.StringIO(answer.text)))
    assert table[0] == ["timestamp_ms", "t", "low", "high", "count"]
    assert len(table) == 101


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("", 400, "sensor: found nothing"),
        ("sensor=pi9:room&field=", 400, "field: found nothing"),
        ("sensor=pi9:attic&field=t", 404, "sensor: found pi9:attic, expected one of pi9:room"),
        ("sensor=pi9:attic&width=500", 404, "sensor: found pi9:attic, expected one of pi9:room"),
        ("sensor=pi9:room&field=t&field=u", 404, "field: found 'u', expected one of name, t"),
        ("sensor=pi9:room&width=0", 400, "width: found '0'"),
        ("sensor=pi9:room&width=10001", 400, "width: found '10001'"),
        ("sensor=pi9:room&width=1&from=0&to=9007199254740992", 400, "too long for 1 points"),
        ("sensor=pi9:room&from=yesterday", 400, "from: found 'yesterday', expected Unix milli"),
        ("sensor=pi9:room&times=local", 400, "times: found 'local', expected ms or iso"),
        ("sensor=room&field=t", 404, "sensor: found room:"),
        ("sensor=pi9:room&field=humidity", 404, "expected one of name, t"),
        ("sensor=pi9:room&field=t&points=0", 400, "points: found '0'"),
        ("sensor=pi9:room&field=t&points=many", 400, "points: found 'many'"),
        ("sensor=pi9:room&field=t&from=5&to=5", 400, "from: found '5'"),
        ("sensor=pi9:room&field=t&to=-1", 400, "to: found '-1'"),
        ("sensor=pi9:room&field=t&to=99999999999999999999", 400, "to: found"),
        ("sensor=pi9:room&field=t&format=xml", 400, "format: found 'xml'"),
    ],
)
def test_a_wrong_question_is_one_clear_line(
    filled: HubProcess, query: str, status: int, error: str
) -> None:
    answer = filled.http.get(f"/api/history?{query}")
    assert answer.status_code == status
    assert error in answer.json()["error"]


def test_several_fields_are_answered_at_once_for_a_width(filled: HubProcess) -> None:
    query = {
        "sensor": "pi9:room",
        "width": "50",
        "from": str(BEGAN_MS),
        "to": str(BEGAN_MS + 10**6),
    }
    body = filled.http.get("/api/history", params=query).json()
    assert (body["source"], body["bucket_ms"], body["interval_ms"]) == ("readings", 20_000, 2000)
    assert [each["field"] for each in body["series"]] == ["name", "t"]
    texts, numbers = (each["points"] for each in body["series"])
    assert texts == []
    assert len(numbers) == 11
    assert sum(point[4] for point in numbers) == 100
    assert (min(p[2] for p in numbers), max(p[3] for p in numbers)) == (20.0, 119.0)
    # After the hundred readings, nothing came.
    assert body["gaps"] == [[BEGAN_MS + 200_000, BEGAN_MS + 10**6, "waiting"]]
    few = filled.http.get("/api/history", params=query | {"field": "t"}).json()
    assert [each["field"] for each in few["series"]] == ["t"]


def test_a_page_may_ask_for_what_is_not_stored_yet(filled: HubProcess) -> None:
    for missing in ({"sensor": "pi9:attic"}, {"sensor": "pi9:room", "field": "lux"}):
        query = {"width": "50", **missing}
        assert filled.http.get("/api/history", params=query).status_code == 404
        answer = filled.http.get("/api/history", params=query | {"missing": "empty"})
        assert (answer.status_code, answer.json()["series"]) == (200, [])


def test_times_are_iso_8601_as_well(filled: HubProcess) -> None:
    began = iso_8601(BEGAN_MS)
    query = {"sensor": "pi9:room", "field": "t", "from": began, "to": iso_8601(BEGAN_MS + 4000)}
    asked = {"times": "iso"}
    body = filled.http.get("/api/history", params=query | asked).json()
    assert (body["from_ms"], body["to_ms"]) == (BEGAN_MS, BEGAN_MS + 4000)
    assert [point[:2] for point in body["points"]] == [
        [began, 20.0],
        [iso_8601(BEGAN_MS + 2000), 21.0],
    ]
    body = filled.http.get("/api/history", params=query | asked | {"width": "100"}).json()
    assert body["series"][0]["points"][0] == [began, 20.0, 20.0, 20.0, 1]
    coverage = {"node": "pi9", "from": query["from"], "to": query["to"]}
    assert filled.http.get("/api/coverage", params=coverage).json()["from_ms"] == BEGAN_MS


def test_csv_of_several_fields_has_a_row_for_each_time(filled: HubProcess) -> None:
    query = {"sensor": "pi9:room", "width": "1000", "format": "csv"}
    answer = filled.http.get("/api/history", params=query)
    table = list(csv.reader(io.StringIO(answer.text)))
    names = [
        f"{field}{part}" for field in ("name", "t") for part in ("", " low", " high", " count")
    ]
    assert table[0] == ["time", "timestamp_ms", *names]
    assert table[1][:2] == [iso_8601(int(table[1][1])), table[1][1]]
    assert sum(int(row[9]) for row in table[1:]) == 100
    assert "pi9-room.csv" in answer.headers["content-disposition"]


def test_coverage_says_what_is_there_and_what_came_late(filled: HubProcess) -> None:
    query = {"node": "pi9", "from": str(BEGAN_MS), "to": str(BEGAN_MS + 200_000)}
    body = filled.http.get("/api/coverage", params=query).json()
    (sensor,) = body["sensors"]
    assert sensor["sensor_id"] == "pi9:room"
    assert sensor["spans"] == [[BEGAN_MS, BEGAN_MS + 200_000, "late", 100]]
    assert filled.http.get("/api/coverage").status_code == 400
    assert filled.http.get("/api/coverage?node=nowhere").status_code == 404
    long = filled.http.get("/api/coverage?node=pi9&from=1")
    assert (long.status_code, "7 days" in long.json()["error"]) == (400, True)


def test_an_old_reading_in_a_backlog_leaves_the_newest_value_alone(filled: HubProcess) -> None:
    filled.publish(TOPIC, reading(500))
    filled.publish(BACKLOG, Backlog([reading(101)]))
    wait_stored(filled, 101)
    (shown,) = [
        entry
        for entry in filled.http.get("/api/readings").json()["readings"]
        if entry["sensor_id"] == "pi9:room"
    ]
    assert shown["data"]["t"] == 520.0


def test_a_hub_with_open_streams_commits_before_it_stops(
    tmp_path: Path,
) -> None:
    with running_hub(tmp_path) as hub, open_stream(hub) as stream:
        assert stream.recv(1024)
        hub.publish(BACKLOG, Backlog([reading(n) for n in range(50)]))
        assert hub.service.stop() == 0
        # uvicorn logs an error when the time for an orderly end is exceeded.
        assert "ERROR" not in hub.service.output()
    (found,) = tmp_path.rglob("history.db")
    with contextlib.closing(sqlite3.connect(found)) as db:
        assert db.execute("SELECT count(*) FROM readings").fetchone() == (50,)


def test_limits_of_alarms_come_with_their_field(filled: HubProcess) -> None:
    rule = {"name": "too-high", "field": "t", "sensor": "room", "above": 50}
    other = {"name": "elsewhere", "field": "t", "sensor": "attic", "above": 60}
    for each in (rule, other):
        assert filled.http.post("/api/alarms/rules", json=each).status_code == 200
    body = filled.http.get("/api/history?sensor=pi9:room&width=100").json()
    assert {each["field"]: each["limits"] for each in body["series"]} == {
        "name": [],
        "t": [{"alarm": "too-high", "severity": "warning", "value": 50.0}],
    }
