"""The whole system on one machine, as a new user sees it."""

import base64
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import httpx
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from bus.contract.description import SensorDescription
from bus.contract.messages import Buzzer, DeliveryState, Event, Log, Reading, Result, Status
from bus.contract.topics import CHANNELS, Topic, TopicKind, parse
from tests.end_to_end.conftest import START_S, System
from tests.support import HOST, PROJECT, WAIT_S, Listener, Said, Service, program, wait_until

BUZZER = Topic("pi4", TopicKind.COMMAND, "buzzer")
SENSORS = (
    *("pi4:dht22-gpio4", "pi4:bme680-0x77", "pi4:pi4-monitor", "revpi:revpi-monitor"),
    *("pizero:bme680-0x76", "pizero:pizero-monitor", "pizero:ping-revpi", "pizero:ping-pi4"),
)


def deploy(system: System, node: str, plugin: str) -> None:
    bundle = base64.b64encode((PROJECT / "plugins" / plugin / f"{plugin}.bundle").read_bytes())
    body = {"plugin": plugin, "bundle": bundle.decode(), "nodes": [node], "polls": 2}
    answer = httpx.post(f"{system.page}api/deliveries", json=body, timeout=WAIT_S, trust_env=False)
    assert answer.status_code == 200, answer.text


def kept(said: Said) -> bool:
    return isinstance(said.message, DeliveryState) and said.message.phase == "kept"


def test_a_plugin_that_the_hub_delivers_is_kept_by_its_node(
    system: System, listener: Listener
) -> None:
    deploy(system, "pi4", "dht22")
    found = listener.wait_for(kept, START_S)
    assert str(found.topic) == "harvester/pi4/deliveries/dht22"
    heard = len(listener.said)
    topic = "harvester/pi4/readings/dht22-gpio4"
    listener.wait_topic(topic, after=heard)


def test_every_topic_of_topics_md_is_heard(
    system: System, door: Service, listener: Listener
) -> None:
    for command in ("buzzer/cmd", "leds/cmd", "fan/cmd"):
        listener.publish(parse(f"harvester/pi4/{command}"), b"off")
    listener.publish(parse("harvester/pi4/plugins/cmd"), b'{"plugin": "none", "action": "reload"}')
    # Only after an outage, after an update of the machine, and where a rule says so.
    never = {TopicKind.BACKLOG, TopicKind.UPDATE, TopicKind.ALARM}
    deploy(system, "pi4", "dht22")
    listener.publish(parse("harvester/pi4/plugins/cmd"), b'{"plugin": "dht22", "action": "record"}')
    for kind in CHANNELS.keys() - never:
        listener.wait_for(lambda said, kind=kind: said.topic.kind is kind, START_S)
    rule = {"name": "all-rooms", "sensor": "dht22-*", "field": "temperature", "above": -40}
    rules = f"{system.page}api/alarms/rules"
    assert httpx.post(rules, json=rule, timeout=WAIT_S, trust_env=False).status_code == 200
    listener.wait_for(lambda said: said.topic.kind is TopicKind.ALARM)
    assert httpx.delete(f"{rules}/all-rooms", timeout=WAIT_S, trust_env=False).status_code == 200
    patterns = re.findall(r"^### `harvester/<node>/(.*)`$", topics_md(), re.MULTILINE)
    assert len(patterns) >= len(CHANNELS)
    for pattern in set(patterns) - {"backlog", "update"}:
        shape = re.compile("harvester/[^/]+/" + re.sub("<[^>]+>", "[^/]+", pattern) + "$")
        listener.wait_for(lambda said, shape=shape: bool(shape.match(str(said.topic))))


def test_a_pulse_at_an_input_becomes_an_event_on_the_bus_and_a_line_of_the_log(
    system: System, door: Service, listener: Listener
) -> None:
    said = listener.wait_topic("harvester/door/events/bell", START_S)
    assert isinstance(said.message, Event)
    assert (said.message.name, said.message.data.keys()) == ("pressed", {"count"})
    line = listener.wait_for(
        lambda said: isinstance(said.message, Log) and said.message.message.startswith("event bell")
    )
    assert isinstance(line.message, Log)
    assert (line.message.level, line.message.source) == ("info", "plugin:doorbell")
    assert line.message.message.startswith('event bell: pressed {"count":')


def test_every_value_of_every_reading_is_described_and_nothing_else(
    system: System, listener: Listener
) -> None:
    for sensor in SENSORS:
        listener.wait_topic(f"harvester/{sensor.replace(':', '/readings/')}", START_S)
    wait_until(lambda: not differences(listener.said))


def differences(said: list[Said]) -> dict[str, set[str]]:
    """Return by sensor the values that are not described, and the described ones that never came.

    One that is not valid yet may be described with the value that says so.
    """
    came: dict[str, set[str]] = {}
    described: dict[str, set[str]] = {}
    awaited: dict[str, set[str]] = {}
    for one in list(said):
        sensor = f"{one.topic.node}:{one.topic.name}"
        if isinstance(one.message, Reading):
            came.setdefault(sensor, set()).update(one.message.data)
        elif isinstance(one.message, SensorDescription):
            fields = one.message.fields
            described[sensor] = {name for name, of in fields.items() if of.pending not in fields}
            awaited[sensor] = fields.keys() - described[sensor]
    for sensor, fields_of in awaited.items():
        described[sensor] |= fields_of & came.get(sensor, set())
    sensors = came.keys() | described.keys()
    different = {s: came.get(s, set()) ^ described.get(s, set()) for s in sensors}
    return {sensor: values for sensor, values in different.items() if values}


def test_mosquitto_sub_shows_the_bus(system: System, listener: Listener) -> None:
    shown = subprocess.run(
        [
            *(program("mosquitto_sub"), "-h", HOST, "-p", str(system.mqtt_port)),
            *("-t", "harvester/#", "-v", "-C", "30", "-W", "60"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(shown.stdout.splitlines()) == 30
    for line in shown.stdout.splitlines():
        topic, _, payload = line.partition(" ")
        # A command may be a bare word instead of JSON.
        if parse(topic).kind is not TopicKind.COMMAND:
            json.loads(payload)


def test_a_typed_command_sounds_the_buzzer_and_its_result_precedes_the_end_of_the_sound(
    system: System, listener: Listener
) -> None:
    before = len(listener.said)
    subprocess.run(
        [
            *(program("mosquitto_pub"), "-h", HOST, "-p", str(system.mqtt_port)),
            *("-t", str(BUZZER), "-m", "beep3"),
        ],
        check=True,
    )
    result = listener.wait_topic("harvester/pi4/buzzer/result", after=before)
    assert isinstance(result.message, Result)
    assert result.message.ok
    sounding = listener.wait_for(is_buzzer(Buzzer(sounding=True, pattern="beep3")), after=before)
    begin = listener.said.index(sounding, before)
    silent = listener.wait_for(is_buzzer(Buzzer(sounding=False, pattern="")), after=begin)
    end = listener.said.index(silent, begin)
    assert result in listener.said[before:end]


def test_a_bad_command_is_answered_with_what_was_wrong(system: System, listener: Listener) -> None:
    before = len(listener.said)
    listener.publish(BUZZER, b'{"pattern": "waltz", "id": "w1"}')
    said = listener.wait_topic("harvester/pi4/buzzer/result", after=before)
    assert isinstance(said.message, Result)
    assert (said.message.id, said.message.ok) == ("w1", False)
    assert "waltz" in said.message.error


def test_readings_are_served_over_http(system: System, listener: Listener) -> None:
    served = system.get("api/readings")
    sensors = {reading["sensor_id"]: reading["data"] for reading in served["readings"]}
    assert sensors["pi4:dht22-gpio4"].keys() == {"temperature", "humidity"}
    assert 300 < sensors["pi4:bme680-0x77"]["pressure"] < 1100
    assert sensors["revpi:revpi-monitor"]["memory_total_mb"] > 0
    assert sensors["pizero:ping-revpi"]["up"] is True
    assert served["last_update"] > 0


def test_a_plugins_print_is_a_log_message(system: System, listener: Listener) -> None:
    logged = system.get("api/logs?node=pi4&limit=200")
    sources = {line["source"] for line in logged["logs"]}
    assert "plugin:bme680" in sources


def test_the_page_shows_five_live_cards(
    system: System, listener: Listener, browser: webdriver.Chrome
) -> None:
    # A page of an earlier system has logged the end of that system.
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(system.page)
    titles = [card.text for card in browser.find_elements(By.CSS_SELECTOR, ".card h2")]
    for title in ("room", "air", "revpi hub", "pi 4", "pi zero"):
        assert title in [found.lower() for found in titles]
    wait_text(browser, "°C")
    newest = listener.said[-1]
    room = "[data-topic='harvester/pi4/readings/dht22-gpio4'] [data-field='temperature'] .value"
    first = browser.find_element(By.CSS_SELECTOR, room).text
    WebDriverWait(browser, WAIT_S).until(
        lambda b: b.find_element(By.CSS_SELECTOR, room).text != first
    )
    assert listener.said[-1] is not newest
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


# The buzzer sounds for half a second, in which a busy machine may not ask for the page's text.
_NOTE_BUZZER = """
new MutationObserver(() => {
  if (document.body.textContent.includes("sounding beep3")) window.sounded = true;
}).observe(document.body, { childList: true, subtree: true, characterData: true });
"""


def test_the_pages_button_sounds_the_buzzer(
    system: System, listener: Listener, browser: webdriver.Chrome
) -> None:
    browser.get(system.page)
    wait_text(browser, "live")
    browser.execute_script(_NOTE_BUZZER)
    before = len(listener.said)
    button = next(b for b in browser.find_elements(By.TAG_NAME, "button") if "x3" in b.text)
    button.click()
    listener.wait_for(is_buzzer(Buzzer(sounding=True, pattern="beep3")), after=before)

    def is_seen(driver: webdriver.Chrome) -> bool:
        # The page gets the newest of states that follow each other quickly: three beeps take 0.5 s.
        button.click()
        return bool(driver.execute_script("return window.sounded"))

    WebDriverWait(browser, WAIT_S).until(is_seen)


def test_a_killed_agent_goes_offline_on_the_page_and_comes_back(
    system: System, listener: Listener, browser: webdriver.Chrome
) -> None:
    browser.get(system.page)
    before = len(listener.said)
    os.kill(system.children()["node-agent spoke"], signal.SIGKILL)
    listener.wait_for(is_status("offline"), after=before)
    wait_text(browser, "offline")
    listener.wait_for(is_status("online"), after=before)
    listener.wait_topic("harvester/pi4/readings/dht22-gpio4", after=before)


def test_the_pi_zero_answers_for_itself(system: System, listener: Listener) -> None:
    health = system.get("health", port=system.zero_port)
    assert health["node"] == "pizero"
    assert health["bus_connected"] is True


def test_the_agent_with_its_four_plugins_stays_below_150_mb(
    system: System, listener: Listener
) -> None:
    pid = system.children()["node-agent spoke"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS"))
    assert int(resident.split()[1]) / 1024 < 150


def test_ctrl_c_leaves_no_process_and_no_error(system: System, listener: Listener) -> None:
    children = system.children()
    assert len(children) == 4
    assert system.stop() == 0
    for pid in children.values():
        assert not Path(f"/proc/{pid}").exists()
    assert "Traceback" not in system.output()
    assert "ERROR" not in system.output()
    assert system.output().endswith("stopped\n")


def topics_md() -> str:
    return (PROJECT / "topics.md").read_text()


def is_buzzer(state: Buzzer):  # noqa: ANN201 - a predicate
    return lambda said: said.message == state


def is_status(state: str):  # noqa: ANN201 - a predicate
    def matches(said: Said) -> bool:
        status = said.message
        return said.topic.node == "pi4" and isinstance(status, Status) and status.state == state

    return matches


def wait_text(browser: webdriver.Chrome, text: str) -> None:
    def is_shown(driver: webdriver.Chrome) -> bool:
        return text in driver.find_element(By.TAG_NAME, "body").text

    WebDriverWait(browser, WAIT_S).until(is_shown)
