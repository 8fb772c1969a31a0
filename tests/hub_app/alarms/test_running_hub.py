"""Alarms of a running hub: heat and frost, from the reading to the notification and the history."""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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

TOPIC = "harvester/pi4/alarms/extreme--air"
SEQS = itertools.count()


class Wave(NamedTuple):
    """Limit of a rule, and temperatures in their order, from before the alarm until it is over."""

    side: str
    limit: float
    clear: float
    before: float
    begin: float
    worst: float
    # Within the limit, not yet at the clearing value.
    between: float


WAVES = [
    Wave("above", 30, 28, before=29.0, begin=35.5, worst=36.0, between=29.0),
    Wave("below", 3, 5.5, before=3.25, begin=2.75, worst=-12.0, between=5.25),
]


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
    message = decode(Topic("pi4", TopicKind.ALARM, "extreme--air"), payload)
    assert isinstance(message, Alarm)
    return message


def assert_kept(hub: Hub, keys: dict[str, object], over: dict[str, object]) -> None:
    """Run the hub again: what is over is in the history, and nothing is notified again."""
    with hub.running(**keys):
        assert active(hub) == []
        assert past(hub) == [over]
        sent = 'harvester_notification_sent_total{address="json (line 3)"} 0.0'
        assert sent in hub.http.get("/metrics").text


@pytest.mark.parametrize("wave", WAVES, ids=["heat", "frost"])
def test_a_wave_is_told_once_stays_acknowledged_over_a_kill_and_ends_at_the_clearing_value(
    hub: Hub, hook: Webhook, tmp_path: Path, wave: Wave
) -> None:
    token = accounts.enroll(hub.state / "accounts.json", "pi4")
    limits = f"{wave.side}={wave.limit}, clear={wave.clear}"
    keys: dict[str, object] = {
        "alarms": f'[{{name="extreme", field="temperature", {limits}, for_s=0.1}}]',
        "notify__addresses_file": hook.write_address(tmp_path / "addresses"),
        "notify__page_url": "http://revpi.local:3000/",
    }
    with hub.running(**keys) as service, hub.node("pi4", token) as client:
        introduce(client)
        measured_until(client, wave.before, lambda: "pi4:air" in hub.sensors())
        assert active(hub) == []
        with Listener(hub.mqtt_port) as ears:
            measured_until(client, wave.begin, lambda: active(hub))
            ears.wait_topic(TOPIC)
            alarm = alarm_of(heard(ears)[0])
            assert (alarm.severity, alarm.value, alarm.limit) == (
                "warning",
                wave.begin,
                wave.limit,
            )
            assert alarm.text == f"Living room: Temperature is {wave.side} {wave.limit:.1f} °C"
            assert not alarm.acknowledged
            wait_until(lambda: hook.titles == ["HARVESTER warning: pi4"])
            assert "http://revpi.local:3000/alarms" in hook.taken[0]["message"]
            sent = 'harvester_notification_sent_total{address="json (line 3)"} 1.0'
            wait_until(lambda: sent in hub.http.get("/metrics").text)
            active_alarm = 'harvester_alarm_active{node="pi4",alarm="extreme--air",'
            assert active_alarm in hub.http.get("/metrics").text
            wait_until(lambda: b'"is_sent":true' in saved(hub))
            answer = hub.http.post("/api/alarms/pi4/extreme--air/ack")
            assert answer.status_code == 200
            ears.wait_for(lambda it: str(it.topic) == TOPIC and b'acknowledged":true' in it.payload)
        # What `kill -9` leaves behind.
        service.stop(number=signal.SIGKILL)
    with hub.running(**keys) as service, hub.node("pi4", token) as client:
        (found,) = active(hub)
        assert found["acknowledged_ms"] > 0
        assert found["since_ms"] == alarm.since_ms
        introduce(client)
        with Listener(hub.mqtt_port) as ears:
            ears.wait_for(lambda it: str(it.topic) == TOPIC and b'acknowledged":true' in it.payload)
            for value in (wave.worst, wave.between):
                measured_until(client, value, lambda v=value: active(hub)[0]["value"] == v)
            # At the clearing value, not between.
            measured_until(client, wave.clear, lambda: not active(hub))
            ears.wait_for(lambda it: str(it.topic) == TOPIC and not it.payload)
        wait_until(lambda: past(hub))
        (over,) = past(hub)
        assert over["begin_ms"] == alarm.since_ms < over["end_ms"]
        assert (over["value"], over["worst"], over["limit"]) == (wave.begin, wave.worst, wave.limit)
        assert over["acknowledged_ms"] == found["acknowledged_ms"]
        wait_until(lambda: len(hook.taken) == 2)
        assert hook.titles == ["HARVESTER warning: pi4", "HARVESTER over: pi4"]
        wait_until(lambda: "harvester_alarm_active{" not in hub.http.get("/metrics").text)
        assert hub.retained("pi4").count(TOPIC) == 0
        wait_until(lambda: b'"is_sent":false' not in saved(hub))
        service.stop(number=signal.SIGKILL)
    assert_kept(hub, keys, over)
    assert len(hook.taken) == 2
