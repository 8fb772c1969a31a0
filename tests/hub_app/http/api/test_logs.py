"""Log lines over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from broker.auth import accounts
from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess
from tests.hub_app.connected_node import until
from tests.hub_app.samples import NOW_MS, log
from tests.hub_app.whole_hub import Hub
from tests.support import wait_until


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


def test_logs_are_filtered_and_come_in_pages(hub: HubProcess) -> None:
    for i, level in enumerate(("debug", "info", "warning", "error")):
        hub.publish(Topic("l2", TopicKind.LOG), log(f"Step {i}", NOW_MS + i, level))
    until(hub, "/api/logs?node=l2", "Step 3")

    def answer(**params: str | int) -> dict[str, Any]:
        found: dict[str, Any] = hub.http.get("/api/logs", params={"node": "l2", **params}).json()
        return found

    def messages(**params: str | int) -> list[str]:
        return [line["message"] for line in answer(**params)["logs"]]

    assert messages(level="warning") == ["Step 2", "Step 3"]
    assert messages(text="step 1") == ["Step 1"]
    assert messages(source="plugin") == []
    assert messages(to="2020-01-01T00:00:00Z") == []
    newest = answer(limit=3)
    assert len(newest["logs"]) == 3
    rest = answer(limit=3, before=newest["before"])
    assert ([line["message"] for line in rest["logs"]], rest["before"]) == (["Step 0"], None)
    assert hub.http.get("/api/logs?level=fatal").status_code == 400


def test_log_lines_are_there_after_the_hub_has_started_again(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    with hub.http:
        with hub.running() as service, hub.node("pi4", token) as client:
            line = encode(log("before the restart"))
            wait_until(
                lambda: client.publish_payload(Topic("pi4", TopicKind.LOG), line) is not None
            )
            wait_until(lambda: "before the restart" in hub.http.get("/api/logs").text)
            service.stop()
        with hub.running():
            assert "before the restart" in hub.http.get("/api/logs?node=pi4").text
            # What is stored of a removed node goes with its history.
            hub.run("node", "remove", "pi4", "--history")
            wait_until(lambda: hub.http.get("/api/logs").json()["logs"] == [])
