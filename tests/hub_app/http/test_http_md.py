"""The examples of docs/http.md, run as they stand there against a hub that asks for a token."""

import csv
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from bus.client.client import BusClient
from bus.clock import now_ms
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.messages import Backlog, Reading, Result, Stored
from bus.contract.topics import Topic, TopicKind, parse, topic_filter
from hub_app.http.api.openapi import document
from hub_app.http.api.operations import OPERATIONS
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.samples import reading
from tests.support import HOST, PROJECT, WAIT_S, program, wait_until

TEXT = (PROJECT / "docs" / "http.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
# The hub of these tests lets no machines join; tests/hub_app/nodes/join does.
SHELL = [text for kind, text in BLOCKS if kind == "sh" and "join-codes" not in text]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]
FLOW = next(json.loads(text) for kind, text in BLOCKS if kind == "json" and '"tab"' in text)
IN_TEXT = "http://revpi.local:3000"
# Two of each hour, and one of the last.
TIMES = [now_ms() - minutes * 60_000 for minutes in (180, 150, 120, 90, 60, 30, 1)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with a node that carries out every command, and readings of three hours."""
    directory = tmp_path_factory.mktemp("http-md")
    file = directory / "state" / ACCOUNTS_NAME
    token = accounts.add_token(file, "examples", Role.OPERATOR)
    with running_hub(directory, web__login="true") as running:
        running.http.headers["Authorization"] = f"Bearer {token}"
        node = BusClient(
            running.bus_address,
            client_id="node",
            filters=[topic_filter(TopicKind.COMMAND)],
            on_message=lambda topic, payload: carry_out(node, topic, payload),
        )
        node.start()
        try:
            wait_until(lambda: node.connected)
            readings = [reading(at_ms, n, temperature=21.5)[1] for n, at_ms in enumerate(TIMES)]
            running.publish(Topic("pi4", TopicKind.BACKLOG), Backlog(readings))
            running.publish(*reading(now_ms(), 7, temperature=22.0))
            running.bus.wait_for(
                lambda said: (
                    isinstance(said.message, Stored)
                    and any(first <= 6 <= last for first, last in said.message.ranges)
                )
            )
            yield running
        finally:
            node.stop()


def carry_out(node: BusClient, text: str, payload: bytes) -> None:
    topic = parse(text)
    result = Result(msgspec.json.decode(payload)["id"], ok=True, error="", finished_ms=1)
    node.publish(Topic(topic.node, TopicKind.RESULT, topic.name), result)


@pytest.fixture(scope="module")
def influx() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server that takes what is written to it, and the bodies so far."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}", bodies
        server.shutdown()
        thread.join(WAIT_S)


def replaced(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def environment(hub: HubProcess) -> dict[str, str]:
    token = hub.http.headers["Authorization"].removeprefix("Bearer ")
    return {**os.environ, "HUB": hub.url, "TOKEN": token, "no_proxy": "*"}


def shell(hub: HubProcess, folder: Path, text: str, **more: str) -> str:
    program("curl")
    done = subprocess.run(
        ["sh", "-eu", "-c", text],
        cwd=folder,
        env=environment(hub) | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(hub: HubProcess, folder: Path, text: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=environment(hub),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_run_here() -> None:
    assert (len(SHELL), len(PYTHON)) == (4, 3)


def test_curl_reads_exports_and_commands(hub: HubProcess, tmp_path: Path) -> None:
    found = json.loads(shell(hub, tmp_path, SHELL[0]))
    assert found["readings"][0]["data"] == {"temperature": 22.0}
    rows = list(csv.DictReader((tmp_path / "last-hour.csv").read_text().splitlines()))
    assert {row["field"] for row in rows} == {"temperature"}
    assert json.loads(shell(hub, tmp_path, SHELL[1]))["ok"] is True


def test_python_reads_and_commands(hub: HubProcess, tmp_path: Path) -> None:
    assert python(hub, tmp_path, PYTHON[0]) == "pi4:dht22-gpio4 {'temperature': 22.0}\nTrue\n"


def test_python_follows_a_sensor(hub: HubProcess, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PYTHON[1]],
        env=environment(hub),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            # The stream has its snapshot when the hub counts its client.
            wait_until(lambda: hub.http.get("/health").json()["clients"] == 1)
            hub.publish(*reading(now_ms(), 8, temperature=23.0))
            assert process.stdout.readline() == "{'temperature': 23.0}\n"
        finally:
            process.kill()


def test_parquet_is_read_by_pyarrow(hub: HubProcess, tmp_path: Path) -> None:
    shell(hub, tmp_path, SHELL[2])
    name, field, mean = python(hub, tmp_path, PYTHON[2]).split()
    assert (name, field) == ("pi4:dht22-gpio4", "temperature")
    assert 21.0 < float(mean) < 23.0


def test_influxdb_gets_the_hour_before(
    hub: HubProcess, tmp_path: Path, influx: tuple[str, list[bytes]]
) -> None:
    url, bodies = influx
    shell(hub, tmp_path, SHELL[3], INFLUX=url, INFLUX_TOKEN="secret")
    lines = bodies[-1].decode().splitlines()
    series = "harvester,node=pi4,sensor=dht22-gpio4 temperature"
    live = [said.message for said in hub.bus.said if isinstance(said.message, Reading)]
    # Where an hour has begun since, those are of the hour before, too.
    known = [(it.timestamp_ms, it.data["temperature"]) for it in live]
    known += [(at_ms, 21.5) for at_ms in TIMES]
    assert lines
    assert set(lines) <= {f"{series}={value} {at_ms}000000" for at_ms, value in known}


def test_the_node_red_flow_is_wired_and_its_requests_work(hub: HubProcess) -> None:
    nodes = {node["id"]: node for node in FLOW}
    wired = {name for node in FLOW for output in node.get("wires", []) for name in output}
    assert wired < nodes.keys()
    payloads = {
        name: json.loads(node["payload"])
        for node in FLOW
        if "payload" in node
        for output in node["wires"]
        for name in output
    }
    for node in FLOW:
        if node["type"] == "http request":
            answer = hub.http.request(
                node["method"],
                node["url"].replace(IN_TEXT, hub.url),
                json=payloads.get(node["id"]),
            )
            assert answer.status_code == 200
            assert node["headers"][0]["keyValue"] == "Authorization"


def test_grafanas_urls_answer_the_columns_that_are_named(hub: HubProcess) -> None:
    times = {"${__from}": str(TIMES[0] - 1), "${__to}": str(now_ms() + 1000)}
    urls = re.findall(rf"`{IN_TEXT}(/api/[^`]*__from[^`]*)`", TEXT)
    table, points = [hub.http.get(replaced(url, times)) for url in urls]
    header = next(csv.reader(io.StringIO(table.text)))
    assert {"time", "value"} <= set(header)
    assert points.json()["points"][0][:2] == [TIMES[0], 21.5]


def test_each_status_of_the_table_is_one_of_the_documented() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \|", TEXT, re.MULTILINE)
    named = {status for row in rows for status in row.split(", ")}
    paths = document(OPERATIONS)["paths"].values()
    answered = {status for path in paths for it in path.values() for status in it["responses"]}
    assert named == {status for status in answered if status >= "400"}


def test_each_route_in_the_text_exists() -> None:
    named = set(re.findall(r"`(?:GET |POST )?(/(?:api|events|metrics|health)[\w/.-]*)", TEXT))
    known = document(OPERATIONS)["paths"].keys() | {"/api/alarms/...", "/api/v2/write"}
    assert named - known == set()
