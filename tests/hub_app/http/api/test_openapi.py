"""The OpenAPI document tells what the hub answers; schemathesis asks it in every documented way."""

import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from bus.client.client import BusClient
from bus.clock import now_ms
from bus.contract.description import About
from bus.contract.messages import (
    Backlog,
    Buzzer,
    Costs,
    Fan,
    Heartbeat,
    Leds,
    Oled,
    PluginCost,
    PluginRecord,
    PluginState,
    Result,
    Stored,
)
from bus.contract.topics import Topic, TopicKind, parse, topic_filter
from hub_app.http.api.openapi import document
from hub_app.http.api.operation import Operation
from hub_app.http.api.operations import OPERATIONS
from hub_app.http.app import create_app
from hub_app.hub import Hub
from tests.default_descriptions import description_of
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.samples import log, reading, status
from tests.support import WAIT_S, wait_until
from tests.thoroughness import examples

NODE, SENSOR = "pi4", "dht22-gpio4"
BEGAN_MS = now_ms() - 60_000
SCHEMA = schemathesis.openapi.from_dict(document(OPERATIONS))
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# An event stream has no end, a support bundle takes a process, and machines join a hub with a
# broker of its own, and only a version that is in the shadow is promoted: they have tests of their
# own.
UNASKED = (
    *("/events", "/api/support-bundle", "/api/join-codes", "/api/join-codes/{node}"),
    "/api/deliveries/promote",
)
ASKED = [each for each in OPERATIONS if each.path not in UNASKED]
# Of each operation.
EXAMPLES = examples(10)
INTERFACE = ("/api/", "/events", "/health", "/metrics")
_SENSOR = {"sensor": f"{NODE}:{SENSOR}"}
IN_PATHS = {"node": NODE, "plugin": "dht22", "name": "too-warm", "alarm": f"warm--{SENSOR}"}
# Removed and renamed.
OF_PATHS = {
    "/api/nodes/{node}/remove": {"node": "old"},
    "/api/nodes/{node}/rename": {"node": "shed"},
    "/api/sensors/{sensor}/remove": {"sensor": f"spare:{SENSOR}"},
}
QUERIES: dict[str, list[dict[str, Any]]] = {
    "/api/readings": [{}, _SENSOR],
    "/api/history": [
        *(_SENSOR, _SENSOR | {"times": "iso"}, _SENSOR | {"format": "csv"}),
        *(_SENSOR | {"field": "humidity"}, _SENSOR | {"field": ["humidity", "temperature"]}),
        {"sensor": "pi4:none", "missing": "empty"},
    ],
    "/api/coverage": [{"node": NODE}],
    "/api/export": [{"format": form} for form in ("csv", "json", "influx", "parquet")],
    "/api/buzzer": [{}, {"action": "beep"}],
}


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with a node that tells everything and carries out every command."""
    with running_hub(tmp_path_factory.mktemp("openapi")) as hub:
        client = BusClient(
            hub.bus_address,
            client_id="node",
            filters=[topic_filter(TopicKind.COMMAND)],
            on_message=lambda topic, payload: answer(client, topic, payload),
        )
        client.start()
        try:
            wait_until(lambda: client.connected)
            fill(hub)
            yield hub
            assert "Traceback" not in hub.service.output()
        finally:
            client.stop()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


def answer(client: BusClient, text: str, payload: bytes) -> None:
    topic = parse(text)
    result = Result(msgspec.json.decode(payload)["id"], ok=True, error="", finished_ms=BEGAN_MS)
    client.publish(Topic(topic.node, TopicKind.RESULT, topic.name), result)


def fill(hub: HubProcess) -> None:
    about = About("", "Attic", "Pi", "Linux", "arm64", "", {"harvester": "1"}, {"fan": ["on"]})
    told: dict[tuple[TopicKind, str], Any] = {
        (TopicKind.STATUS, ""): status(),
        (TopicKind.HEARTBEAT, ""): Heartbeat(1, 10.0, 42.0, 12.0, 0, 0, BEGAN_MS),
        (TopicKind.ABOUT, ""): about,
        (TopicKind.SENSOR, SENSOR): description_of(SENSOR),
        (TopicKind.PLUGIN, "dht22"): PluginState("running", "", BEGAN_MS, 0),
        (TopicKind.COSTS, ""): Costs({"dht22": PluginCost(1, 0, 12, 1.0, 1.0)}),
        (TopicKind.RECORD, "dht22"): PluginRecord("fault", "", BEGAN_MS, 1, 0, b"a record"),
        (TopicKind.LEDS, ""): Leds(["#ff0000"]),
        (TopicKind.FAN, ""): Fan(on=False, mode="auto"),
        (TopicKind.BUZZER, ""): Buzzer(sounding=False, pattern=""),
        (TopicKind.OLED, ""): Oled(128, 64, on=True, frame=bytes(1024)),
        (TopicKind.LOG, ""): log("a line"),
    }
    for (kind, name), message in told.items():
        hub.publish(Topic(NODE, kind, name), message)
    readings = [
        reading(BEGAN_MS + n * 2000, n, temperature=20.0 + n, humidity=40.0)[1] for n in range(9)
    ]
    hub.http.post("/api/alarms/rules", json={"name": "warm", "field": "temperature", "above": 5})
    for node in (NODE, "old", "shed", "spare"):
        hub.publish(*reading(now_ms(), 10, node=node, temperature=21.0, humidity=40.0))
    hub.publish(Topic(NODE, TopicKind.BACKLOG), Backlog(readings))
    hub.bus.wait_for(
        lambda said: (
            isinstance(said.message, Stored)
            and any(first <= 8 <= last for first, last in said.message.ranges)
        )
    )
    until(hub, "/api/nodes", '"oled":{')
    until(hub, "/api/alarms", f'"warm--{SENSOR}"')


def test_the_document_has_every_route_but_those_of_the_pages() -> None:
    app = create_app(cast("Hub", None))
    served = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith(INTERFACE)
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = document(OPERATIONS)["paths"]
    assert served == {(path, method.upper()) for path, it in paths.items() for method in it}
    assert {path for path in INTERFACE if path != "/api/"} <= paths.keys()


def test_the_hub_serves_the_document_below_its_prefix(asked: HubProcess) -> None:
    served = asked.http.get("/api/openapi.json").json()
    assert served == document(OPERATIONS)
    assert served["openapi"] == "3.1.0"
    assert document(OPERATIONS, "/house")["servers"] == [{"url": "/house"}]


def test_patterns_and_references_are_those_of_openapi() -> None:
    text = msgspec.json.encode(document(OPERATIONS)).decode()
    assert "\\\\Z" not in text
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names == document(OPERATIONS)["components"]["schemas"].keys()


def test_every_operation_answers_its_example_as_documented(asked: HubProcess) -> None:
    wrong = []
    for operation in ASKED:
        for query in QUERIES.get(operation.path, [{}]):
            case = SCHEMA[operation.path][operation.method].Case(
                path_parameters=IN_PATHS | OF_PATHS.get(operation.path, {}),
                query=query,
                body=dict(operation.body.example) if operation.body else NOT_SET,
            )
            response = case.call(asked.url, timeout=WAIT_S)
            if response.status_code not in operation.answers:
                wrong.append(f"{name_of(operation)} {query}: {response.text}")
            case.validate_response(response, checks=CHECKS)
    assert wrong == []


@pytest.mark.parametrize("operation", ASKED, ids=name_of)
def test_no_request_gets_an_answer_that_is_not_documented(
    asked: HubProcess, operation: Operation, session: requests.Session
) -> None:
    described = SCHEMA[operation.path][operation.method]
    cases = described.as_strategy()
    if operation.parameters or operation.body:
        cases |= described.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(cases)
    def ask(case: Case) -> None:
        response = case.call(asked.url, session=session, timeout=WAIT_S)
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CHECKS)

    ask()
