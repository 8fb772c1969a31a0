"""Log lines over HTTP."""

import pytest

from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.nodes import until
from tests.hub_app.samples import NOW_MS, log


def test_logs_are_limited_and_newest_last(hub: HubProcess) -> None:
    for i in range(5):
        hub.publish(Topic("l1", TopicKind.LOG), log(f"line {i}", NOW_MS + i))
    until(hub, "/api/logs", "line 4")
    lines = hub.http.get("/api/logs", params={"node": "l1", "limit": 2}).json()["logs"]
    assert [line["message"] for line in lines] == ["line 3", "line 4"]
    assert lines[0]["node"] == "l1"


@pytest.mark.parametrize(
    "limit",
    ["0", "501", "-1", "x", "1.5", "", "9" * 99, "0001" + "0" * 5000, "000000001000", "\u0663"],
)
def test_a_bad_limit_is_refused_with_what_is_allowed(hub: HubProcess, limit: str) -> None:
    answer = hub.http.get("/api/logs", params={"limit": limit})
    assert answer.status_code == 400
    assert "expected a whole number, 1 to 500" in answer.json()["error"]


def test_logs_of_an_unknown_node_are_refused(hub: HubProcess) -> None:
    answer = hub.http.get("/api/logs", params={"node": "nobody"})
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (404, True)
