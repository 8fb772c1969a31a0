"""Rates of the broker's messages, from its counters."""

from broker.embedded.statistics import BrokerSnapshot, Gauges, Statistics
from bus.config.broker_table import BrokerConfig
from hub_app.live.traffic import EVERY_MS, Traffic
from tests.hub_app.samples import NOW_MS


def snapshot(received: int, sent: int) -> BrokerSnapshot:
    statistics = Statistics(BrokerConfig(), 0.0)
    statistics.counters.publish_received = received
    statistics.counters.publish_sent = sent
    return statistics.snapshot(Gauges(), 1.0)


def test_each_minute_has_the_rate_since_the_one_before() -> None:
    traffic = Traffic()
    assert traffic.is_due(NOW_MS)
    traffic.add(snapshot(1000, 1000), NOW_MS)
    assert traffic.points == []
    assert not traffic.is_due(NOW_MS + EVERY_MS - 1)
    assert traffic.is_due(NOW_MS + EVERY_MS)
    traffic.add(snapshot(1060, 1120), NOW_MS + EVERY_MS)
    assert traffic.points == [(NOW_MS + EVERY_MS, 1.0, 2.0)]


def test_a_clock_that_is_set_makes_no_rate() -> None:
    traffic = Traffic()
    traffic.add(snapshot(0, 0), NOW_MS)
    for now_ms in (NOW_MS - 3_600_000, NOW_MS + 3_600_000):
        assert traffic.is_due(now_ms)
        traffic.add(snapshot(60, 60), now_ms)
    assert traffic.points == []


def test_a_day_is_kept() -> None:
    traffic = Traffic()
    for minute in range(2000):
        traffic.add(snapshot(minute, minute), NOW_MS + minute * EVERY_MS)
    assert len(traffic.points) == 1440
