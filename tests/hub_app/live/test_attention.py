"""Needs for attention, counted."""

from bus.config.alarms_table import RuleKind
from bus.contract.messages import Alarm, PluginState
from bus.contract.topics import TopicKind
from hub_app.live.attention import open_count
from hub_app.live.change import Change
from hub_app.live.presence import StatusView


def alarm(
    node: str, sensor: str, *, kind: RuleKind = "field", acknowledged: bool = False
) -> Change:
    value = Alarm(
        "warning", "Too warm", 0, acknowledged=acknowledged, rule="warm", sensor=sensor, kind=kind
    )
    return Change(f"{node}/alarms/warm", TopicKind.ALARM, node, "warm", value)


def plugin(node: str, name: str, state: str) -> Change:
    value = PluginState(state, "", 0, 0)  # type: ignore[arg-type]
    return Change(f"{node}/plugins/{name}", TopicKind.PLUGIN, node, name, value)


LOST = Change("pi4/status", TopicKind.STATUS, "pi4", "", StatusView("lost", 0, None))
ONLINE = Change("pi5/status", TopicKind.STATUS, "pi5", "", StatusView("online", 0, None))


def test_alarms_lost_nodes_and_failed_plugins_need_attention() -> None:
    failed, running = plugin("pi5", "oled", "failed"), plugin("pi5", "dht22", "running")
    assert open_count([alarm("pi4", "room"), LOST, ONLINE, failed, running]) == 3


def test_an_acknowledged_alarm_is_not_counted() -> None:
    assert open_count([alarm("pi4", "room", acknowledged=True)]) == 0


def test_a_fault_that_has_an_alarm_is_counted_once() -> None:
    assert open_count([alarm("pi4", "", kind="lost"), LOST]) == 1
    acknowledged = alarm("pi5", "oled", kind="plugin", acknowledged=True)
    assert open_count([acknowledged, plugin("pi5", "oled", "failed")]) == 0


def test_an_alarm_hides_no_other_fault_of_its_node() -> None:
    assert open_count([alarm("pi4", "", kind="outbox"), LOST]) == 2
    assert open_count([alarm("pi5", "oled", kind="stale"), plugin("pi5", "oled", "failed")]) == 2
