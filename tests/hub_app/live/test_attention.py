"""Needs for attention, counted."""

from bus.contract.messages import Alarm, PluginState
from bus.contract.topics import TopicKind
from hub_app.live.attention import open_count
from hub_app.live.change import Change
from hub_app.live.presence import StatusView


def alarm(node: str, sensor: str, *, acknowledged: bool = False) -> Change:
    value = Alarm("warning", "Too warm", 0, 31.0, 30.0, acknowledged, "warm", sensor, "temperature")
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
    assert open_count([alarm("pi4", ""), LOST]) == 1
    assert (
        open_count([alarm("pi5", "oled", acknowledged=True), plugin("pi5", "oled", "failed")]) == 0
    )
