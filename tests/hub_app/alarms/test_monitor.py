"""Alarm monitor: topics, records and notices of what its rules find in the live state."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.config.alarms_table import AlarmConfig
from bus.contract.description import SensorDescription
from bus.contract.messages import Alarm, PluginState, decode
from bus.contract.topics import Topic, TopicKind
from bus.files import json_file
from hub_app.alarms.addresses import Address
from hub_app.alarms.alarm_file import FILE_NAME, AlarmFile
from hub_app.alarms.conditions import Conditions
from hub_app.alarms.engine import Observation
from hub_app.alarms.monitor import NODES_AT_ONCE, AlarmMonitor, AlarmSetup
from hub_app.alarms.notices import Notice
from hub_app.alarms.notifier import Notifier
from hub_app.alarms.records import Record
from hub_app.alarms.rules import RuleBook
from hub_app.live.state import State
from tests.hub_app.alarms.samples import NOW_MS, config
from tests.hub_app.samples import heartbeat, reading, status

RULE = config(above=30, clear=28)
KEY = ("pi4", "too-warm--dht22-gpio4")
TOPIC = Topic("pi4", TopicKind.ALARM, KEY[1])
SENSOR = Topic("pi4", TopicKind.SENSOR, "dht22-gpio4")
DAY_MS = 86_400_000


class KeptNotices(Notifier):
    """A notifier that keeps what it is to send."""

    def __init__(self) -> None:
        super().__init__([Address("none", lambda _notice: None)])
        self.notices: list[Notice] = []

    def put(self, notice: Notice) -> None:
        self.notices.append(notice)

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.notices]


class Hub:
    """A live state with its monitor, whose bus is a dictionary."""

    def __init__(self, *rules: AlarmConfig, path: Path | None = None, **keys: Any) -> None:
        self.state = State()
        self.book = RuleBook(rules)
        self.notifier = KeptNotices()
        self.retained: dict[Topic, bytes] = {}
        self.is_connected = True
        self.records: list[Record] = []
        self.seq = 0
        self.monitor = AlarmMonitor(
            AlarmSetup(book=self.book, file=AlarmFile(path), notifier=self.notifier, **keys),
            self.state,
            publish=self._publish,
            record=self.records.append,
            most_per_node=10,
            on_refused=lambda _node, _name: None,
        )
        self.state.apply(Topic("pi4", TopicKind.STATUS), status(), NOW_MS)

    def _publish(self, topic: Topic, payload: bytes) -> int | None:
        if not self.is_connected:
            return None
        self.retained[topic] = payload
        # The hub hears what it says.
        if payload:
            self.state.apply(topic, decode(topic, payload), NOW_MS)
        else:
            self.state.remove(topic)
        return 1

    def read(self, temperature: float, at_ms: int = NOW_MS) -> None:
        self.seq += 1
        changes = self.state.apply(*reading(at_ms, self.seq, temperature=temperature), at_ms)
        self.monitor.on_changes(changes, at_ms)

    def saved(self, path: Path) -> None:
        json_file.save(path, self.monitor.file.snapshot())

    @property
    def alarm(self) -> Alarm | None:
        payload = self.retained.get(TOPIC, b"")
        message = decode(TOPIC, payload) if payload else None
        assert message is None or isinstance(message, Alarm)
        return message


def test_an_alarm_is_retained_recorded_and_told_and_so_is_its_end() -> None:
    hub = Hub(RULE)
    hub.read(31.0)
    hub.monitor.sweep(NOW_MS)
    assert hub.alarm is not None
    assert (hub.alarm.value, hub.alarm.limit, hub.alarm.sensor) == (31.0, 30, "dht22-gpio4")
    assert (hub.alarm.rule, hub.alarm.kind) == ("too-warm", "field")
    hub.read(28.0, NOW_MS + 1000)
    assert hub.alarm is None
    assert [record.end_ms for record in hub.records] == [None, NOW_MS + 1000]
    assert hub.notifier.titles == ["HARVESTER warning: pi4", "HARVESTER over: pi4"]


def test_what_could_not_be_published_is_published_later() -> None:
    hub = Hub(RULE)
    hub.is_connected = False
    hub.read(31.0)
    hub.is_connected = True
    hub.monitor.sweep(NOW_MS)
    assert hub.alarm is not None
    # The broker has lost it.
    hub.retained.clear()
    hub.state.remove(TOPIC)
    hub.monitor.sweep(NOW_MS + 5000)
    assert hub.alarm is not None


def test_after_a_restart_an_alarm_is_active_with_its_acknowledgement_and_not_told_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    hub = Hub(RULE, path=path)
    hub.read(31.0)
    hub.monitor.sweep(NOW_MS)
    hub.monitor._confirm(hub.notifier.notices[0])
    hub.monitor.acknowledge(KEY, "eva", NOW_MS + 1)
    hub.monitor.mute(KEY, NOW_MS + DAY_MS)
    hub.saved(path)
    again = Hub(RULE, path=path)
    again.read(31.0, NOW_MS + 2000)
    again.monitor.sweep(NOW_MS + 2000)
    (alarm,) = again.monitor.active
    assert (alarm.since_ms, alarm.acknowledged_by) == (NOW_MS, "eva")
    assert again.alarm is not None
    assert (again.alarm.acknowledged, again.alarm.muted_until_ms) == (True, NOW_MS + DAY_MS)
    assert again.notifier.notices == []
    # Its end is told: it is the same alarm. But it is muted.
    again.monitor.mute(KEY, 0)
    again.read(20.0, NOW_MS + 3000)
    assert again.notifier.titles == ["HARVESTER over: pi4"]


def test_an_alarm_whose_rule_is_gone_at_the_next_start_ends_without_a_notice(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    hub = Hub(RULE, path=path)
    hub.read(31.0)
    hub.saved(path)
    again = Hub(path=path)
    again.state.apply(TOPIC, decode(TOPIC, hub.retained[TOPIC]), NOW_MS)
    again.monitor.sweep(NOW_MS)
    assert again.monitor.active == []
    assert again.retained[TOPIC] == b""
    assert again.notifier.notices == []
    assert again.records[-1].end_ms == NOW_MS


def test_a_muted_alarm_is_told_when_its_mute_is_over() -> None:
    hub = Hub(RULE)
    hub.read(31.0)
    hub.monitor.mute(KEY, NOW_MS + 60_000)
    hub.monitor.sweep(NOW_MS)
    assert hub.notifier.notices == []
    hub.monitor.sweep(NOW_MS + 60_000)
    assert hub.notifier.titles[:1] == ["HARVESTER warning: pi4"]
    with pytest.raises(KeyError):
        hub.monitor.mute(("pi4", "none"), 1)


def test_an_alarm_of_another_area_ends_when_its_sensor_moves() -> None:
    hub = Hub(msgspec.structs.replace(RULE, area="Cellar"))
    described = SensorDescription("dht22", "", "Cellar", 2.0, {})
    hub.state.apply(SENSOR, described, NOW_MS)
    hub.read(31.0)
    assert hub.alarm is not None
    moved = msgspec.structs.replace(described, area="Attic")
    hub.state.apply(SENSOR, moved, NOW_MS)
    hub.monitor.sweep(NOW_MS)
    assert hub.alarm is None


def test_the_alarms_of_a_node_end_when_it_is_silent_for_days() -> None:
    hub = Hub(RULE)
    hub.read(31.0)
    hub.monitor.sweep(NOW_MS)
    later_ms = NOW_MS + 31 * DAY_MS
    hub.state.sweep(later_ms)
    assert hub.state.nodes == []
    hub.monitor.sweep(later_ms)
    assert hub.monitor.active == []


def test_a_sensor_that_is_gone_ends_its_alarms_and_leaves_those_of_a_plugin_of_its_name() -> None:
    hub = Hub(RULE)
    hub.read(31.0)
    hub.monitor.on_removed(Topic("pi4", TopicKind.PLUGIN, "dht22-gpio4"), NOW_MS)
    assert hub.alarm is not None
    hub.monitor.on_removed(Topic("pi4", TopicKind.READING, "dht22-gpio4"), NOW_MS)
    assert hub.alarm is None


def test_a_lost_node_is_told_a_minute_later_and_over_when_it_is_back() -> None:
    hub = Hub()
    for second in range(7, 67):
        hub.state.sweep(NOW_MS + second * 1000)
        hub.monitor.sweep(NOW_MS + second * 1000)
        assert hub.monitor.active == []
    hub.monitor.sweep(NOW_MS + 67_000)
    assert [alarm.name for alarm in hub.monitor.active] == ["node-lost"]
    assert hub.notifier.titles == ["HARVESTER critical: pi4"]
    changes = hub.state.apply(Topic("pi4", TopicKind.STATUS), status(), NOW_MS + 68_000)
    hub.monitor.on_changes(changes, NOW_MS + 68_000)
    hub.monitor.sweep(NOW_MS + 68_000)
    assert hub.monitor.active == []


def test_only_nodes_that_are_due_are_judged_and_few_of_them_at_once() -> None:
    hub = Hub()
    count = 3 * NODES_AT_ONCE
    for number in range(count):
        topic = Topic(f"node-{number}", TopicKind.STATUS)
        hub.monitor.on_changes(hub.state.apply(topic, status(), NOW_MS), NOW_MS)
    hub.monitor.sweep(NOW_MS)
    assert hub.monitor.judged == NODES_AT_ONCE
    while hub.monitor.judge_due(NOW_MS):
        pass
    # And the node that every hub of these tests has.
    assert hub.monitor.judged == count + 1
    for second in range(1, 4):
        hub.monitor.sweep(NOW_MS + second * 1000)
    assert hub.monitor.judged == count + 1
    # One that failed is judged until it works again, and no other.
    failed = PluginState("failed", "", NOW_MS, 0, "no sensor", NOW_MS)
    plugin = Topic("node-7", TopicKind.PLUGIN, "dht22")
    hub.monitor.on_changes(hub.state.apply(plugin, failed, NOW_MS), NOW_MS)
    for second in range(4, 8):
        hub.monitor.sweep(NOW_MS + second * 1000)
    assert hub.monitor.judged == count + 3


def test_a_node_whose_readings_go_on_is_not_judged_again() -> None:
    hub = Hub()
    for second in range(60):
        hub.read(20.0, NOW_MS + second * 1000)
        hub.monitor.sweep(NOW_MS + second * 1000)
    assert hub.monitor.judged == 1
    hub.monitor.sweep(NOW_MS + 120_000)
    assert hub.monitor.judged == 2


def test_a_new_rule_is_asked_of_every_node() -> None:
    hub = Hub()
    hub.monitor.sweep(NOW_MS)
    hub.monitor.sweep(NOW_MS + 1000)
    judged = hub.monitor.judged
    hub.book.set_page_rules([RULE])
    hub.monitor.sweep(NOW_MS + 2000)
    assert hub.monitor.judged == judged + 1


def test_an_alarm_of_a_node_that_came_later_ends_when_the_node_is_gone() -> None:
    hub = Hub(RULE)
    hub.monitor.sweep(NOW_MS)
    # Without a description, which would let the monitor look at all nodes.
    changes = hub.state.apply(Topic("pi5", TopicKind.STATUS), status(), NOW_MS)
    topic, message = reading(NOW_MS, 1, node="pi5", temperature=31.0)
    changes += hub.state.apply(topic, message, NOW_MS)
    hub.monitor.on_changes(changes, NOW_MS)
    hub.monitor.sweep(NOW_MS + 1)
    assert [alarm.node for alarm in hub.monitor.active] == ["pi5"]
    hub.monitor.on_changes(hub.state.remove(Topic("pi5", TopicKind.STATUS)), NOW_MS + 2)
    hub.monitor.sweep(NOW_MS + 3)
    assert hub.monitor.active == []


def test_a_clock_that_stays_wrong_is_told_between_two_rare_heartbeats() -> None:
    hub = Hub()
    status_topic, heartbeat_topic = (
        Topic("pi4", kind) for kind in (TopicKind.STATUS, TopicKind.HEARTBEAT)
    )
    every_ms = 3_600_000
    slow = msgspec.structs.replace(status(), interval_s=every_ms / 1000)
    changes = hub.state.apply(status_topic, slow, NOW_MS)
    hub.monitor.on_changes(changes, NOW_MS)
    hub.read(20.0)
    hub.monitor.sweep(NOW_MS)
    at_ms = NOW_MS + every_ms
    changes = hub.state.apply(heartbeat_topic, heartbeat(at_ms - 100_000), at_ms)
    hub.monitor.on_changes(changes, at_ms)
    for now_ms in range(at_ms, at_ms + 70_000, 1000):
        hub.monitor.sweep(now_ms)
    assert [alarm.rule for alarm in hub.monitor.active] == ["clock-wrong"]


def test_a_node_that_cannot_be_judged_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub(AlarmConfig(name="gone", kind="lost"))
    for node in ("pi1", "pi2", "pi3"):
        changes = hub.state.apply(Topic(node, TopicKind.STATUS), status(state="offline"), NOW_MS)
        hub.monitor.on_changes(changes, NOW_MS)
    of_node = Conditions.of_node

    def failing(conditions: Conditions, node: str, now_ms: int) -> Iterator[Observation]:
        if node == "pi2":
            raise KeyError(node)
        return of_node(conditions, node, now_ms)

    monkeypatch.setattr(Conditions, "of_node", failing)
    hub.monitor.sweep(NOW_MS)
    found = {alarm.node for alarm in hub.monitor.active if alarm.rule == "gone"}
    assert {"pi1", "pi3"} <= found
    # It is tried again.
    monkeypatch.undo()
    hub.monitor.sweep(NOW_MS + 3000)
    assert "pi2" in {alarm.node for alarm in hub.monitor.active if alarm.rule == "gone"}
