"""The pages of alarms, log, node and system, as they are without scripts."""

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.commands import WORDS
from bus.contract.description import About, SettingDescription
from bus.contract.messages import Buzzer, Fan, Leds, PluginState
from bus.contract.topics import Topic, TopicKind
from hub_app.http.guard import SECURITY_HEADERS
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.samples import NOW_MS, heartbeat, log, reading, status

NASTY = "<script>alert(1)</script>"
TRACEBACK = "Traceback (most recent call last):\n  in poll\nOSError: no answer at 0x77"
FIXED = '{name="too-damp", field="humidity", above=70, clear=65, for_s=600, node="pi*"}'
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with running_hub(tmp_path_factory.mktemp("hub"), alarms=f"[{FIXED}]") as running:
        about = About("Attic", NASTY, "Pi 4", "Debian", "aarch64", "", {"python": "3.11"}, {})
        running.publish(Topic("pi4", TopicKind.ABOUT), about)
        running.publish(Topic("pi4", TopicKind.STATUS), status())
        running.publish(Topic("pi4", TopicKind.HEARTBEAT), heartbeat())
        running.publish(*reading(node="pi4", temperature=21.26))
        running.publish(Topic("pi4", TopicKind.LOG), log(f"it rains {NASTY}"))
        failed = PluginState("failed", "c" * 64, NOW_MS, 2, TRACEBACK)
        running.publish(Topic("pi4", TopicKind.PLUGIN, "bme680"), failed)
        again = PluginState("running", "c" * 64, NOW_MS, 1, version="1.3", last_failure=TRACEBACK)
        running.publish(Topic("pi4", TopicKind.PLUGIN, "dht22"), again)
        until(running, "/api/logs", "it rains")
        until(running, "/api/nodes", "OSError")
        yield running


def text_of(hub: HubProcess, path: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", hub.http.get(path).text)).split())


PATHS = ("/alarms", "/log", "/node/pi4", "/node/nowhere", "/system")


@pytest.mark.parametrize("path", PATHS)
def test_a_view_has_nothing_inline_and_the_same_policy(hub: HubProcess, path: str) -> None:
    found = hub.http.get(path)
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert found.headers["content-security-policy"] == policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|https?://", found.text)
    assert "<script>alert" not in found.text


@pytest.mark.parametrize("path", PATHS)
def test_every_file_that_a_view_names_is_there(hub: HubProcess, path: str) -> None:
    for url in re.findall(r'(?:src|href)="([^"#?][^"]*)"', hub.http.get(path).text):
        assert hub.http.get(html.unescape(url)).status_code == 200, url


def test_the_log_is_filtered_by_its_address(hub: HubProcess) -> None:
    hub.publish(Topic("pi5", TopicKind.LOG), log("it snows", level="error"))
    until(hub, "/api/logs", "it snows")
    assert "it rains" in text_of(hub, "/log")
    assert "it snows" in text_of(hub, "/log?level=warning&text=SNOWS&node=pi5")
    assert "it rains" not in text_of(hub, "/log?node=pi5&level=debug&source=&text=")
    refused = hub.http.get("/log?node=attic")
    assert refused.status_code == 404
    assert "expected one of" in refused.text


def test_older_lines_have_an_address(hub: HubProcess) -> None:
    for i in range(4):
        hub.publish(Topic("pi6", TopicKind.LOG), log(f"step {i}"))
    until(hub, "/api/logs", "step 3")
    newest = hub.http.get("/log?node=pi6&limit=2").text
    assert "step 1" not in newest
    older = re.search(r'id="older" href="([^"]+)"', newest)
    assert older is not None
    assert "step 1" in hub.http.get(f"/log{html.unescape(older[1])}").text


def test_rules_are_told_in_words_and_those_of_hub_toml_are_read_only(hub: HubProcess) -> None:
    found = text_of(hub, "/alarms")
    rule = "too-damp humidity above 70 for 10 min; over at 65 node pi* warning hub.toml read-only"
    assert rule in found
    assert "node-lost the node is lost or offline for 1 min all critical built-in" in found


def test_an_address_fills_in_the_form_of_a_rule(hub: HubProcess) -> None:
    page = hub.http.get("/alarms?node=pi4&sensor=dht22-gpio4&field=temperature&above=30").text
    assert 'name="name" value="temperature-above-dht22-gpio4"' in page
    assert 'name="above" value="30"' in page
    page = hub.http.get("/alarms?rule=clock-wrong").text
    assert "Change clock-wrong" in page
    assert 'name="clear" value="30"' in page
    # A rule of hub.toml can only be copied.
    page = hub.http.get("/alarms?rule=too-damp").text
    assert "New rule" in page
    assert 'name="field" value="humidity"' in page


def test_a_node_is_readable_without_scripts(hub: HubProcess) -> None:
    found = text_of(hub, "/node/pi4")
    for words in ("Pi 4", "python 3.11", "bme680 failed", "Temperature", "Cycle 12 ms", "it rains"):
        assert words.lower() in found.lower()
    page = hub.http.get("/node/pi4").text
    # The last line of a traceback is its summary.
    assert '<summary data-tone="bad">OSError: no answer at 0x77</summary>' in page
    assert ">runs again after: OSError: no answer at 0x77</summary>" in page
    assert '<td data-label="version">1.3</td>' in page


def test_a_node_whose_readings_are_too_old_to_be_kept_says_so(hub: HubProcess) -> None:
    # NOW_MS is more than two years ago.
    hub.publish(*reading(node="pi9"))
    until(hub, "/node/pi9", "days old by the hub&#x27;s clock: nothing of them is kept")


def test_a_node_has_the_controls_of_which_it_tells(hub: HubProcess) -> None:
    hub.publish(Topic("pi7", TopicKind.LEDS), Leds(["#ff8800", "#000000"]))
    hub.publish(Topic("pi7", TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
    hub.publish(Topic("pi7", TopicKind.FAN), Fan(on=True, mode="auto"))
    hub.publish(Topic("pi7", TopicKind.PLUGIN, "dht22"), PluginState("running", "", NOW_MS, 0))
    until(hub, "/api/nodes", '"mode":"auto"')
    controls = ("data-led=", "data-pattern=", "data-fan=", "data-action=", "data-name-of=")
    page = hub.http.get("/node/pi7").text
    assert [control for control in controls if control in page] == []
    assert "1 of 2 LEDs lit" in page
    about = About("", "", "", "", "", "", {}, WORDS)
    hub.publish(Topic("pi7", TopicKind.ABOUT), about)
    until(hub, "/api/nodes", '"names"')
    page = hub.http.get("/node/pi7").text
    assert [control for control in controls if control not in page] == []
    assert "Display" not in page


def test_a_node_that_does_not_exist_is_told_from_those_that_do(hub: HubProcess) -> None:
    found = hub.http.get("/node/%3Cb%3E")
    assert found.status_code == 404
    assert 'href="/node/pi4"' in found.text
    assert "<b>" not in found.text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with a viewer, and a node that has every output."""
    directory = tmp_path_factory.mktemp("guarded")
    accounts.set_password(directory / "state" / ACCOUNTS_NAME, "kim", Role.VIEWER, PASSWORD)
    with running_hub(directory, web__login="true") as running:
        about = About("Attic", "", "", "", "", "", {}, WORDS)
        running.publish(Topic("pi7", TopicKind.ABOUT), about)
        running.publish(Topic("pi7", TopicKind.LEDS), Leds(["#ff8800", "#000000"]))
        running.publish(Topic("pi7", TopicKind.BUZZER), Buzzer(sounding=False, pattern=""))
        running.publish(Topic("pi7", TopicKind.FAN), Fan(on=True, mode="auto"))
        plugin = PluginState(
            "running", "", NOW_MS, 0, described={"x": SettingDescription("text", "")}
        )
        running.publish(Topic("pi7", TopicKind.PLUGIN, "dht22"), plugin)
        yield running


def test_nobody_sees_a_view_without_a_log_in(guarded: HubProcess) -> None:
    for path in ("/alarms", "/log", "/node/pi4", "/system"):
        found = guarded.http.get(path)
        assert (found.status_code, found.headers["location"]) == (
            303,
            f"/login?next={quote(path, safe='')}",
        )
    assert guarded.http.get("/logs").status_code == 401


def test_a_viewer_is_shown_the_node_the_system_and_the_log_and_nothing_to_press(
    guarded: HubProcess,
) -> None:
    guarded.http.post("/login", data={"name": "kim", "password": PASSWORD})
    until(guarded, "/api/nodes", '"dht22":{"state"')
    buttons = {
        path: re.findall(r"<button[^>]*>([^<]*)", guarded.http.get(path).text)
        for path in ("/node/pi7", "/system", "/log")
    }
    assert buttons == {
        "/node/pi7": ["Log out"],
        "/system": ["Log out"],
        "/log": ["Log out", "Show", "Pause"],
    }
    node, system = guarded.http.get("/node/pi7").text, guarded.http.get("/system").text
    assert "1 of 2 LEDs lit" in node
    assert [
        word for word in ("<dialog", 'type="color"', "data-action", "data-fan=") if word in node
    ] == []
    assert [word for word in ("<dialog", "support-bundle", "joins") if word in system] == []
    assert guarded.http.get("/api/support-bundle").status_code == 403
    for path in (
        "/api/leds",
        "/api/fan",
        "/api/plugins",
        "/api/names",
        "/api/join-codes",
        "/api/nodes/pi7/remove",
        "/api/nodes/pi7/rename",
    ):
        assert guarded.http.post(path, json={}).status_code == 403
