"""Alarms of a running hub: a heat wave, from the reading to the notification and the history."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.auth import accounts
from bus.client.client import BusClient
from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.messages import Alarm, Message, Reading, decode, encode
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.alarm_file import FILE_NAME
from tests.hub_app.alarms.webhook import Webhook, webhook
from tests.hub_app.whole_hub import Hub, status
from tests.support import Listener, wait_until

pytestmark = pytest.mark.timeout(180)

RULE = '{name="too-warm", field="temperature", above=30, clear=28, for_s=0.1}'
TOPIC = "harvester/pi4/alarms/too-warm--air"
SEQS = itertools.count()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    with made.http:
        yield made


def publish(client: BusClient, topic: Topic, message: Message) -> None:
    wait_until(lambda: client.publish_payload(topic, encode(message)) is not None)


def introduce(client: BusClient) -> None:
    """Publish status and description, with a cycle so long that nothing is stale in this test."""
    online = msgspec.structs.replace(status("online"), interval_s=600.0)
    publish(client, Topic("pi4", TopicKind.STATUS), online)
    fields = {"temperature": FieldDescription(label="Temperature", unit="°C", decimals=1)}
    described = SensorDescription("air", "Living room", "House", 600.0, fields)
    publish(client, Topic("pi4", TopicKind.SENSOR, "air"), described)


def measure(client: BusClient, temperature: float) -> None:
    now_ms = time.time_ns() // 1_000_000
    reading = Reading("pi4", "air", now_ms, "s", next(SEQS), {"temperature": temperature}, "air")
    publish(client, Topic("pi4", TopicKind.READING, "air"), reading)


def measured_until(client: BusClient, temperature: float, is_so: Callable[[], object]) -> None:
    measure(client, temperature)
    wait_until(is_so)


def active(hub: Hub) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.http.get("/api/alarms").json()["active"]
    return found


def past(hub: Hub) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = hub.http.get("/api/alarms?node=pi4").json()["past"]
    return found


def heard(ears: Listener) -> list[bytes]:
    return [said.payload for said in ears.said if str(said.topic) == TOPIC]


def saved(hub: Hub) -> bytes:
    path = hub.state / FILE_NAME
    return path.read_bytes() if path.exists() else b""


def alarm_of(payload: bytes) -> Alarm:
    message = decode(Topic("pi4", TopicKind.ALARM, "too-warm--air"), payload)
    assert isinstance(message, Alarm)
    return message


def test_a_heat_wave_is_told_once_stays_acknowledged_over_a_kill_and_ends_at_the_clearing_value(
    hub: Hub, hook: Webhook, tmp_path: Path
) -> None:
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    keys = {
        "alarms": f"[{RULE}]",
        "notify__addresses_file": hook.write_address(tmp_path / "addresses"),
        "notify__page_url": "http://revpi.local:3000/",
    }
    with hub.running(**keys) as service, hub.node("pi4", token) as client:
        introduce(client)
        measured_until(client, 29.0, lambda: "pi4:air" in hub.sensors())
        assert active(hub) == []
        with Listener(hub.mqtt_port) as ears:
            measured_until(client, 35.5, lambda: active(hub))
            ears.wait_topic(TOPIC)
            alarm = alarm_of(heard(ears)[0])
            assert (alarm.severity, alarm.value, alarm.limit) == ("warning", 35.5, 30)
            assert alarm.text == "Living room: Temperature is above 30.0 °C"
            assert not alarm.acknowledged
            wait_until(lambda: hook.titles == ["HARVESTER warning: pi4"])
            assert "http://revpi.local:3000/alarms" in hook.taken[0]["message"]
            sent = 'harvester_notification_sent_total{address="json (line 3)"} 1.0'
            wait_until(lambda: sent in hub.http.get("/metrics").text)
            active_alarm = 'harvester_alarm_active{node="pi4",alarm="too-warm--air",'
            assert active_alarm in hub.http.get("/metrics").text
            wait_until(lambda: b'"is_sent":true' in saved(hub))
            answer = hub.http.post("/api/alarms/pi4/too-warm--air/ack")
            assert answer.status_code == 200
            ears.wait_for(lambda it: str(it.topic) == TOPIC and b'acknowledged":true' in it.payload)
        # What `kill -9` leaves behind.
        service.stop(number=signal.SIGKILL)
    with hub.running(**keys), hub.node("pi4", token) as client:
        (found,) = active(hub)
        assert found["acknowledged_ms"] > 0
        assert found["since_ms"] == alarm.since_ms
        introduce(client)
        with Listener(hub.mqtt_port) as ears:
            ears.wait_for(lambda it: str(it.topic) == TOPIC and b'acknowledged":true' in it.payload)
            measured_until(client, 36.0, lambda: active(hub)[0]["value"] == 36.0)
            measured_until(client, 29.0, lambda: active(hub)[0]["value"] == 29.0)
            # At the clearing value, not between.
            measured_until(client, 28.0, lambda: not active(hub))
            ears.wait_for(lambda it: str(it.topic) == TOPIC and not it.payload)
        wait_until(lambda: past(hub))
        (over,) = past(hub)
        assert over["begin_ms"] == alarm.since_ms < over["end_ms"]
        assert (over["value"], over["worst"], over["limit"]) == (35.5, 36.0, 30)
        assert over["acknowledged_ms"] == found["acknowledged_ms"]
        wait_until(lambda: len(hook.taken) == 2)
        assert hook.titles == ["HARVESTER warning: pi4", "HARVESTER over: pi4"]
        wait_until(lambda: "harvester_alarm_active{" not in hub.http.get("/metrics").text)
        assert hub.retained("pi4").count(TOPIC) == 0
