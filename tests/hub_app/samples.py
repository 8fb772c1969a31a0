"""Factories of messages for tests."""

from typing import Literal

from bus.contract.messages import Heartbeat, Log, LogLevel, Reading, Status, Value
from bus.contract.topics import Topic, TopicKind

NOW_MS = 1_700_000_000_000
INTERVAL_MS = 2000


def status(
    state: Literal["online", "offline"] = "online", boot_id: str = "a", since_ms: int = NOW_MS
) -> Status:
    return Status(state, "spoke", "1.0", boot_id, since_ms, INTERVAL_MS / 1000)


def heartbeat(clock_ms: int = NOW_MS) -> Heartbeat:
    return Heartbeat(1, 10.0, 42.0, 12.0, 0, 0, clock_ms)


def reading(
    at_ms: int = NOW_MS,
    seq: int = 1,
    *,
    node: str = "pi4",
    sensor: str = "dht22-gpio4",
    stream: str = "s",
    **data: Value,
) -> tuple[Topic, Reading]:
    topic = Topic(node, TopicKind.READING, sensor)
    return topic, Reading(node, sensor, at_ms, stream, seq, data or {"temperature": 21.0})


def log(message: str, at_ms: int = NOW_MS, level: LogLevel = "info") -> Log:
    return Log(at_ms, level, "host", message)
