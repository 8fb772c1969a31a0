"""Limits of the detection of events; coverage/test_query.py has the events themselves."""

from bus.config.limits_table import LimitsConfig
from bus.contract.messages import PluginState, Status
from bus.contract.topics import Topic, TopicKind
from hub_app.history.events import EventDetector

START = 1_000_000


def online(boot_id: str = "b") -> Status:
    return Status("online", "spoke", "1", boot_id, START)


def status_of(node: str) -> Topic:
    return Topic(node, TopicKind.STATUS)


def test_the_node_that_is_silent_for_longest_makes_room() -> None:
    detector = EventDetector(LimitsConfig(nodes=2))
    assert detector.on_message(status_of("first"), online(), START)
    assert detector.on_message(status_of("second"), online(), START + 5000)
    assert detector.on_message(status_of("third"), online(), START + 5000) == []
    (lost,) = detector.sweep(START + 8000)
    assert (lost.node, lost.detail) == ("first", "lost")
    assert detector.on_message(status_of("third"), online(), START + 8000)
    assert detector.on_message(status_of("second"), online("c"), START + 8000)


def test_a_node_has_so_many_plugins_and_no_more() -> None:
    detector = EventDetector(LimitsConfig(plugins=2))
    detector.on_message(status_of("pi4"), online(), START)
    running, failed = PluginState("running", "", 0, 0), PluginState("failed", "", 0, 0)
    plugins = [Topic("pi4", TopicKind.PLUGIN, f"p{n}") for n in range(3)]
    found = [detector.on_message(plugin, running, START) for plugin in plugins]
    assert [len(events) for events in found] == [1, 1, 0]
    assert detector.on_message(plugins[0], failed, START)
    assert detector.on_message(Topic("pi5", TopicKind.PLUGIN, "p"), running, START)
