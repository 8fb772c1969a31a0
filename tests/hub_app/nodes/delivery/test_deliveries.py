"""Plugins are delivered by a running hub to nodes that verify, keep and refuse them."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from bus.contract.bounds import MAX_BUNDLE_BYTES
from bus.contract.topics import Topic, TopicKind
from harvester import cli
from hub_app.nodes.delivery.delivery_files import DeliveryFiles
from tests.hub_app.nodes.delivery.sites import BAD, GOOD, ROOM, Node, cycling, rollout, versions
from tests.hub_app.whole_hub import Hub
from tests.support import HOST, wait_until


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub that a test starts and stops."""
    made = Hub(tmp_path)
    with made.http:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that runs for several tests, each with nodes of its own."""
    made = Hub(tmp_path_factory.mktemp("deliveries"))
    with made.http, made.running():
        yield made


def deploy(hub: Hub, content: bytes, **more: object) -> None:
    bundle = base64.b64encode(content).decode()
    answer = hub.http.post("/api/deliveries", json={"plugin": ROOM, "bundle": bundle, **more})
    assert answer.is_success, answer.text


def known(hub: Hub, *names: str) -> None:
    wait_until(lambda: {*names} <= versions(hub).keys())


def phase(hub: Hub, node: str) -> str:
    return str(versions(hub)[node]["phase"])


def test_a_bad_version_is_seen_by_the_canary_alone_and_for_less_than_its_probation(
    hub: Hub, tmp_path: Path
) -> None:
    with hub.running(), contextlib.ExitStack() as stack:
        nodes = [Node(hub, f"pi{number:02}", tmp_path) for number in range(20)]
        for node in nodes:
            stack.enter_context(node.online())
        stack.enter_context(cycling(nodes))
        known(hub, *(node.name for node in nodes))
        deploy(hub, GOOD, all=True, canary="pi07", polls=12)
        wait_until(lambda: rollout(hub).get("is_over"))
        assert {node.ran == [GOOD] for node in nodes} == {True}
        deploy(hub, BAD, all=True, canary="pi07", polls=30)
        wait_until(lambda: rollout(hub).get("is_over"))
        assert rollout(hub)["stopped"] == "pi07: ValueError: the tenth"
        assert [node.name for node in nodes if BAD in node.ran] == ["pi07"]
        row = versions(hub)["pi07"]
        assert (row["phase"], row["wanted_version"]) == ("rolled-back", "3.0")
        assert "ValueError: the tenth" in row["reason"]
        assert row["polls"] == 9
        canary = nodes[7].deliveries.of_plugin[ROOM]
        assert canary.path().read_bytes() == GOOD
        page = hub.http.get("/node/pi07").text
        assert "went back from version 3.0 after 9 polls: ValueError: the tenth" in page


def test_a_node_that_was_away_gets_what_is_wanted_from_a_restarted_hub(
    hub: Hub, tmp_path: Path
) -> None:
    with hub.running():
        pi4, attic = Node(hub, "pi4", tmp_path), Node(hub, "attic", tmp_path)
        with attic.online():
            known(hub, "attic")
        with pi4.online(), cycling([pi4]):
            known(hub, "pi4")
            deploy(hub, GOOD, nodes=["pi4", "attic"], canary="pi4", polls=3)
            wait_until(lambda: phase(hub, "pi4") == "kept")
            wait_until(lambda: rollout(hub)["nodes"][1]["phase"] == "away")
    with hub.running(), attic.online(), cycling([attic]):
        wait_until(lambda: rollout(hub).get("is_over"))
        assert attic.ran == [GOOD]


def test_a_rollout_goes_on_after_a_restart_of_the_hub_and_a_loss_of_its_messages(
    hub: Hub, tmp_path: Path
) -> None:
    with hub.running():
        pi4, pi5 = Node(hub, "pi4", tmp_path), Node(hub, "pi5", tmp_path)
        with pi4.online(), pi5.online():
            known(hub, "pi4", "pi5")
        deploy(hub, GOOD, nodes=["pi4", "pi5"], canary="pi4", polls=3)
    for file in (hub.state / "broker").iterdir():
        file.unlink()
    with hub.running(), pi4.online(), pi5.online(), cycling([pi4, pi5]):
        wait_until(lambda: rollout(hub).get("is_over"))
        assert (pi4.ran, pi5.ran) == ([GOOD], [GOOD])


def test_the_command_line_deploys_a_bundle_and_rolls_it_back(
    running: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "room.bundle"
    file.write_bytes(GOOD)
    options = ["--config", str(running.config)]
    pi4 = Node(running, "pi4", tmp_path, area="Cellar")
    with pi4.online(), cycling([pi4]):
        known(running, "pi4")
        where = ["--area", "cellar", "--polls", "3"]
        cli.main(["plugins", "deploy", str(file), *where, *options])
        assert "pi4: kept" in capsys.readouterr().out
        assert versions(running)["pi4"]["can_go_back"]
        cli.main(["plugins", "rollback", ROOM, "--to", "pi4", *options])
        assert "pi4: kept" in capsys.readouterr().out
        assert pi4.deliveries.of_plugin[ROOM].path().parent.name == ROOM
        file.write_bytes(BAD)
        with pytest.raises(SystemExit):
            cli.main(["plugins", "deploy", str(file), "--to", "pi4", *options])
        said = capsys.readouterr()
        assert "pi4: rolled-back: ValueError: the tenth" in said.out
        assert "not kept by pi4" in said.err
        with pytest.raises(SystemExit):
            cli.main(["plugins", "deploy", str(file), "--to", "pi9", *options])
        assert "found 'pi9', expected an enrolled node: pi4" in capsys.readouterr().err


def test_the_page_deploys_says_why_a_version_went_back_and_rolls_back(
    running: Hub, tmp_path: Path, browser: Chrome
) -> None:
    pi3 = Node(running, "pi3", tmp_path)

    def deploy_on_page(content: bytes, suffix: str = "bundle") -> None:
        file = tmp_path / f"{ROOM}.{suffix}"
        file.write_bytes(content)
        browser.get(f"http://{HOST}:{running.web_port}/system")
        browser.find_element(By.CSS_SELECTOR, "#deploy summary").click()
        form = browser.find_element(By.ID, "deploy-form")
        form.find_element(By.NAME, "file").send_keys(str(file))
        Select(form.find_element(By.NAME, "to")).select_by_value("pi3")
        polls = form.find_element(By.NAME, "polls")
        polls.clear()
        polls.send_keys("11")
        form.find_element(By.TAG_NAME, "button").click()

    def panel() -> str:
        with contextlib.suppress(StaleElementReferenceException):
            return browser.find_element(By.ID, "deliveries").text
        return ""

    with pi3.online(), cycling([pi3]):
        known(running, "pi3")
        deploy_on_page(b"\0asm", "wasm")
        fault = browser.find_element(By.ID, "deploy-fault").text
        assert "On the hub, run: sudo harvester plugins deploy room.wasm --to pi3" in fault
        deploy_on_page(GOOD)
        wait_until(lambda: phase(running, "pi3") == "kept")
        deploy_on_page(BAD)
        wait_until(lambda: phase(running, "pi3") == "rolled-back")
        wait_until(lambda: "went back after 9 of 11 polls" in panel())
        assert "ValueError: the tenth" in panel()
        browser.find_element(By.ID, "roll-back-room-pi3").click()
        wait_until(lambda: versions(running)["pi3"]["wanted_version"] == "2.0")
        wait_until(lambda: phase(running, "pi3") == "kept")


def test_nobody_but_the_hub_publishes_a_bundle(running: Hub, tmp_path: Path) -> None:
    pi4, pi5 = Node(running, "pi4", tmp_path), Node(running, "pi5", tmp_path)
    with pi4.online(), pi5.online():
        for target in ("pi4", "pi5"):
            pi4._client.publish_payload(Topic(target, TopicKind.BUNDLE, ROOM), b"mine")
        known(running, "pi4")
        broker = "/api/broker"
        wait_until(lambda: running.http.get(broker).json()["refused"]["publish"] >= 2)
        assert str(Topic("pi5", TopicKind.BUNDLE, ROOM)) not in running.retained("pi5")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello", "found no bundle"),
        (
            b"\0asm\x0d\0\x01\0",
            "on the hub, `harvester plugins deploy NAME.wasm` sends a component",
        ),
        (b"harvester bundle 1\n" + bytes(MAX_BUNDLE_BYTES), "found 150019 bytes"),
    ],
)
def test_what_is_no_bundle_or_too_large_is_not_deployed(
    running: Hub, content: bytes, sentence: str
) -> None:
    bundle = base64.b64encode(content).decode()
    body = {"plugin": ROOM, "bundle": bundle, "all": True}
    answer = running.http.post("/api/deliveries", json=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    body["bundle"] = base64.b64encode(bytes(10_000_000)).decode()
    answer = running.http.post("/api/deliveries", json=body)
    assert answer.status_code == 413
    assert "harvester plugins deploy NAME.wasm" in answer.json()["error"]


def test_a_bundle_that_the_hub_has_lost_is_told(hub: Hub, tmp_path: Path) -> None:
    with hub.running():
        pi4 = Node(hub, "pi4", tmp_path)
        with pi4.online():
            known(hub, "pi4")
        files = DeliveryFiles(hub.state)
        deploy(hub, GOOD, nodes=["pi4"])
        wait_until(lambda: files.load().wanted)
    for path in (hub.state / "plugin-bundles").iterdir():
        path.unlink()
    with hub.running(), pi4.online():
        wait_until(lambda: "deploy it again" in hub.http.get("/api/deliveries").json()["fault"])


def test_a_shadow_is_sent_promoted_and_dropped(
    running: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "room.bundle"
    file.write_bytes(GOOD)
    options = ["--to", "pi6", "--config", str(running.config)]
    pi6 = Node(running, "pi6", tmp_path)
    where = {"plugin": ROOM, "nodes": ["pi6"]}

    def delivered() -> bytes | None:
        path = pi6.deliveries.of_plugin[ROOM].shadowed()
        return None if path is None else path.read_bytes()

    with pi6.online(), cycling([pi6]):
        known(running, "pi6")
        cli.main(["plugins", "deploy", str(file), "--shadow", *options])
        assert "pi6: shadow" in capsys.readouterr().out
        assert (delivered(), pi6.ran) == (GOOD, [])
        assert running.http.post("/api/deliveries/promote", json=where).is_success
        wait_until(lambda: phase(running, "pi6") == "kept" and rollout(running)["is_over"])
        assert (delivered(), pi6.ran) == (None, [GOOD])
        file.write_bytes(BAD)
        cli.main(["plugins", "deploy", str(file), "--shadow", *options])
        assert delivered() == BAD
        cli.main(["plugins", "rollback", ROOM, *options])
        wait_until(lambda: phase(running, "pi6") == "kept")
        assert delivered() is None
        assert pi6.deliveries.of_plugin[ROOM].path().read_bytes() == GOOD
