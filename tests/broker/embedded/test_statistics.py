"""Statistics: snapshot, averages and `$SYS` topics."""

import msgspec
import pytest

from broker.embedded.counters import Refusal
from broker.embedded.statistics import BrokerSnapshot, Gauges, Statistics
from broker.embedded.topics.names import valid_topic
from broker.embedded.topics.sys_topics import sys_topics
from bus.config.broker_table import BrokerConfig


def told(statistics: Statistics, held: Gauges | None = None, now_s: float = 0) -> dict[str, str]:
    snapshot = statistics.snapshot(held or Gauges(), now_s)
    return {topic: payload.decode() for topic, payload in sys_topics(snapshot).items()}


def test_the_topics_read_like_mosquittos() -> None:
    statistics = Statistics(BrokerConfig(), 100.0)
    statistics.counters.messages_received = 7
    statistics.counters.clients_maximum = 3
    said = told(
        statistics,
        Gauges(connected=2, disconnected=1, retained_messages=4, queued_messages=5),
        161,
    )
    expected = {
        "uptime": "61 seconds",
        "clients/connected": "2",
        "clients/disconnected": "1",
        "clients/total": "3",
        "clients/maximum": "3",
        "messages/received": "7",
        "messages/stored": "9",
        "retained messages/count": "4",
        "load/messages/received/1min": "0.00",
    }
    assert {f"$SYS/broker/{k}": v for k, v in expected.items()}.items() <= said.items()
    assert said["$SYS/broker/version"].startswith("harvester version ")


def test_every_limit_and_every_refusal_is_told() -> None:
    statistics = Statistics(BrokerConfig(in_flight=7, session_days=2.5), 0)
    statistics.counters.refuse(Refusal.LOGIN)
    said = told(statistics)
    assert said["$SYS/broker/limits/in_flight"] == "7"
    assert said["$SYS/broker/limits/session_days"] == "2.5"
    assert said["$SYS/broker/refused/login"] == "1"
    assert said["$SYS/broker/refused/queue"] == "0"
    limits = statistics.snapshot(Gauges(), 0).limits
    assert all(isinstance(value, int | float) for value in limits.values())
    # Where the broker is and who may come in bounds nothing.
    assert {"url", "port", "tls_dir", "credentials_file", "allow_local"}.isdisjoint(limits)


def test_every_topic_can_be_published() -> None:
    assert all(valid_topic(topic) for topic in told(Statistics(BrokerConfig(), 0)))


def test_averages_approach_the_rate_and_forget_it() -> None:
    statistics = Statistics(BrokerConfig(), 0)
    for now_s in range(10, 610, 10):
        statistics.counters.publish_received += 20
        statistics.update_averages(now_s)
    load = statistics.snapshot(Gauges(), 600).load["publish/received"]
    # 2 a second; after 10 minutes 1 - exp(-10 / minutes) of it has arrived.
    assert (load.one, load.five, load.fifteen) == pytest.approx((120.0, 103.8, 58.4), abs=0.1)
    statistics.update_averages(660)
    assert statistics.snapshot(Gauges(), 660).load["publish/received"].one == pytest.approx(
        44.1, abs=0.1
    )


def test_a_snapshot_survives_json() -> None:
    snapshot = Statistics(BrokerConfig(), 0).snapshot(Gauges(connected=1), 5)
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=BrokerSnapshot) == snapshot
