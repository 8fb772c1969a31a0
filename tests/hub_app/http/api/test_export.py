"""`GET /api/export` of a running hub, in each format."""

import csv
import io
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest
from pyarrow import parquet

from bus.clock import now_ms
from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.messages import Backlog, Reading, Stored
from bus.contract.topics import Topic, TopicKind
from hub_app.http.formats.export_rows import ExportRow
from hub_app.http.formats.query_params import iso_8601
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until

BEGAN_MS = now_ms() - 600_000
SENSOR = {"sensor": "pi9:room"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("export")) as hub:
        fields = {"t": FieldDescription("Temperature", "\u00b0C")}
        topic = Topic("pi9", TopicKind.SENSOR, "room")
        hub.publish(topic, SensorDescription("p", "", "Attic", 2.0, fields))
        data = [{"t": 20.0 + n, "=1+1": n} for n in range(100)]
        readings = [
            Reading("pi9", "room", BEGAN_MS + n * 2000, "s", n, each) for n, each in enumerate(data)
        ]
        hub.publish(Topic("pi9", TopicKind.BACKLOG), Backlog(readings))
        hub.bus.wait_for(
            lambda said: (
                isinstance(said.message, Stored)
                and any(first <= 99 <= last for first, last in said.message.ranges)
            )
        )
        until(hub, "/api/sensors", "pi9:room")
        yield hub


def expected(n: int) -> ExportRow:
    at_ms, value = BEGAN_MS + n * 2000, 20.0 + n
    return ExportRow(
        iso_8601(at_ms), at_ms, "pi9:room", "Attic", "t", "\u00b0C", value, value, value, 1, 0
    )


def test_json_is_a_list_of_rows(filled: HubProcess) -> None:
    answer = filled.http.get("/api/export", params={"format": "json", "field": "t"} | SENSOR)
    assert answer.headers["content-type"] == "application/json"
    found = msgspec.json.decode(answer.content, type=list[ExportRow])
    assert found == [expected(n) for n in range(100)]
    nothing = filled.http.get("/api/export", params={"format": "json", "to": "1000"} | SENSOR)
    assert nothing.json() == []


def test_csv_has_a_header_and_no_formulas(filled: HubProcess) -> None:
    answer = filled.http.get("/api/export", params=SENSOR)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].endswith('.csv"')
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == ExportRow.__struct_fields__
    assert len(rows) == 200
    assert {row[4] for row in rows} == {"t", "'=1+1"}


def test_influx_has_a_line_for_each_time(filled: HubProcess) -> None:
    answer = filled.http.get("/api/export", params={"format": "influx"} | SENSOR)
    lines = answer.text.splitlines()
    assert len(lines) == 100
    assert lines[1] == (
        rf"harvester,area=Attic,node=pi9,sensor=room \=1+1=1.0,t=21.0 {BEGAN_MS + 2000}000000"
    )


def test_parquet_is_a_table_of_the_same_rows(filled: HubProcess) -> None:
    answer = filled.http.get("/api/export", params={"format": "parquet", "field": "t"} | SENSOR)
    table = parquet.read_table(io.BytesIO(answer.content))
    rows = table.drop_columns(["time"]).to_pylist()
    assert rows == [
        {name: it for name, it in msgspec.structs.asdict(expected(n)).items() if name != "time"}
        for n in range(100)
    ]
    assert table.schema.field("time").type.tz == "UTC"


def test_iso_times_choose_a_range(filled: HubProcess) -> None:
    times = {"from": iso_8601(BEGAN_MS + 2000), "to": iso_8601(BEGAN_MS + 6000)}
    answer = filled.http.get("/api/export", params={"format": "influx"} | SENSOR | times)
    assert [line[-19:-6] for line in answer.text.splitlines()] == [
        str(BEGAN_MS + 2000),
        str(BEGAN_MS + 4000),
    ]


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("format=xml", 400, "format: found 'xml', expected csv or json or influx or parquet"),
        ("sensor=pi9:attic", 404, "sensor: found pi9:attic, expected one of pi9:room"),
        ("field=q", 404, "field: found 'q', expected one of =1+1, t"),
        ("from=yesterday", 400, "from: found 'yesterday'"),
        ("&".join(["field=t"] * 201), 400, "field: found 201, expected at most 200"),
    ],
)
def test_a_wrong_question_is_one_clear_line(
    filled: HubProcess, query: str, status: int, error: str
) -> None:
    answer = filled.http.get(f"/api/export?{query}")
    assert (answer.status_code, answer.json()["ok"]) == (status, False)
    assert error in answer.json()["error"]


def test_head_has_the_headers_alone(filled: HubProcess) -> None:
    answer = filled.http.head("/api/export", params={"format": "influx"} | SENSOR)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


WITHOUT_PYARROW = """
import asyncio, sys
sys.modules["pyarrow"] = None
from starlette.exceptions import HTTPException
from hub_app.http.api import export

try:
    asyncio.run(export._writer(export.FORMATS["parquet"]))
except HTTPException as e:
    print(e.status_code, e.detail)
"""


def test_without_the_extra_parquet_says_how_to_get_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PYARROW], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "501 format: parquet needs the package pyarrow on the hub; run there:"
        " pip install '<wheel or folder>[parquet]'\n"
    )
