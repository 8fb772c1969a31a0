"""A node of somebody else's making, with values, settings and events of every kind."""

import math
import threading
import time
from typing import Any, Self

import msgspec

from bus.client.client import BusClient
from bus.client.login import Login
from bus.contract import commands, topics
from bus.contract.description import About, SensorDescription, SettingDescription
from bus.contract.messages import (
    Event,
    Heartbeat,
    Message,
    PluginState,
    Reading,
    Status,
    Value,
)
from bus.contract.topics import Topic, TopicKind
from tests.support import HOST, wait_until

NAME = "attic"
SENSOR = "box"
_CYCLE_S = 1.0
_NOW_MS = time.time_ns() // 1_000_000

# What Home Assistant takes with a class, what it takes without, and what has a name to stumble on.
FIELDS: dict[str, dict[str, Any]] = {
    "dust": {"label": "Dust", "unit": "µg/m³", "quantity": "pm25", "decimals": 1},
    "energy": {"label": "Energy", "unit": "kWh", "quantity": "energy"},
    "warmth": {"label": "Warmth", "unit": "degC", "quantity": "temperature"},
    "radon": {"label": "Radon", "unit": "Bq/m³", "quantity": "radon"},
    "cost": {"label": "Cost", "unit": "EUR", "quantity": "monetary"},
    "when": {"label": "When", "quantity": "timestamp"},
    "window": {"label": "Window", "quantity": "window", "words": ["shut", "open"]},
    "mode": {"label": "Mode", "quantity": "enum", "words": ["eco", "boost"]},
    "note": {"label": "Note"},
    "items": {"label": "Number of items"},
    "it's {{ odd }}": {"label": 'Odd "name"', "decimals": 2},
    "limited": {"label": "Limited", "unit": "m", "range": [0, 10]},
    "never": {"label": "Never measured", "unit": "lx", "quantity": "illuminance"},
}
DATA: dict[str, Value] = {
    "dust": 12.5,
    "energy": 3.25,
    "warmth": 21.5,
    "radon": 80.0,
    "cost": 1.5,
    "when": 17.0,
    "window": True,
    "mode": "boost",
    "note": "x" * 256,
    "items": 4,
    "it's {{ odd }}": 1.25,
    "limited": 11.0,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "level": {"type": "number", "default": 2.5, "min": 0, "max": 10, "unit": "%RH"},
    "count": {"type": "integer", "default": 3, "min": -5, "max": 5, "scope": "sensor"},
    "free": {"type": "number", "default": 1.0},
    "mode": {"type": "choice", "default": "a b", "choices": ["a b", "none", "it's {% c %}"]},
    "loud": {"type": "switch", "default": False},
    "greeting": {"type": "text", "default": "hello", "label": "Greeting"},
}


class Attic:
    """The node, which takes commands for its plugin and keeps what they set."""

    def __init__(self, mqtt_port: int, token: str) -> None:
        self.commands: list[commands.PluginCommand] = []
        self._settings: dict[str, Any] = {key: said["default"] for key, said in SETTINGS.items()}
        self._own: dict[str, dict[str, Any]] = {SENSOR: {}, "shed": {}}
        self._fields = dict(FIELDS)
        self._seq = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._client = BusClient(
            (HOST, mqtt_port),
            client_id=NAME,
            login=Login(username=NAME, token=token),
            filters=[topics.topic_filter(TopicKind.COMMAND, NAME)],
            on_message=self._on_command,
            on_connect=self._introduce,
            will=(Topic(NAME, TopicKind.STATUS), _status("offline")),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._client.start()
        self._thread.start()
        wait_until(lambda: self._client.connected)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.stop()

    def ring(self, name: str) -> None:
        event = Event(name, {"count": 2}, time.time_ns() // 1_000_000)
        self._publish(TopicKind.EVENT, event, SENSOR)

    def add_field(self, name: str, said: dict[str, Any]) -> None:
        self._fields[name] = said
        self._describe()

    def remove_sensor(self) -> None:
        """Stop the sensor as a node does whose plugin is gone."""
        self._stopping.set()
        self._thread.join()
        for kind in (TopicKind.SENSOR, TopicKind.READING):
            self._client.publish_payload(Topic(NAME, kind, SENSOR), b"")

    def _introduce(self) -> None:
        self._publish(TopicKind.STATUS, _status("online"))
        words = {"plugins": commands.WORDS["plugins"]}
        about = About("Attic", "Roof", "Box", "none", "none", "", {}, words)
        self._publish(TopicKind.ABOUT, about)
        self._describe()
        self._tell_settings()

    def _describe(self) -> None:
        said = {"plugin": "box", "title": "Box", "area": "Garden", "interval_s": _CYCLE_S}
        described = msgspec.convert({**said, "fields": self._fields}, SensorDescription)
        self._publish(TopicKind.SENSOR, described, SENSOR)

    def _tell_settings(self) -> None:
        described = msgspec.convert(SETTINGS, dict[str, SettingDescription])
        state = PluginState(
            *("running", "", _NOW_MS, 0),
            settings=dict(self._settings),
            described=described,
            sensors={name: dict(own) for name, own in self._own.items()},
            version="1.0.0",
        )
        self._publish(TopicKind.PLUGIN, state, "box")

    def _on_command(self, topic: str, payload: bytes) -> None:
        if topics.parse(topic).name != "plugins":
            return
        command = commands.parse_plugin(payload)
        self.commands.append(command)
        target = self._own[command.sensor] if command.sensor else self._settings
        target.update(command.settings)
        self._tell_settings()

    def _run(self) -> None:
        while not self._stopping.wait(_CYCLE_S):
            self._seq += 1
            now_ms = time.time_ns() // 1_000_000
            beat = Heartbeat(self._seq, 1.0, 10.0, 1.0, 0, 0, now_ms)
            self._publish(TopicKind.HEARTBEAT, beat)
            wave = {"dust": round(12.5 + math.sin(self._seq), 1)}
            reading = Reading(NAME, SENSOR, now_ms, "s", self._seq, DATA | wave, plugin="box")
            self._publish(TopicKind.READING, reading, SENSOR)

    def _publish(self, kind: TopicKind, message: Message, name: str = "") -> None:
        self._client.publish(Topic(NAME, kind, name), message)


def _status(state: str) -> Status:
    said = {"state": state, "role": "spoke", "version": "1", "boot_id": "b", "since_ms": _NOW_MS}
    return msgspec.convert({**said, "interval_s": _CYCLE_S}, Status)
