"""Event filters of the views."""

import pytest

from bus.contract.messages import Log, PluginState
from bus.contract.topics import TopicKind
from hub_app.live.change import Change
from hub_app.live.event_filter import UnknownViewError, filters_of

SENSOR = {"view": "sensor", "node": "pi4", "sensor": "room"}


def shown(parameters: dict[str, str]) -> list[str]:
    changes = [
        Change(f"{node}/{kind}/{name}", kind, node, name, 1)
        for node in ("pi4", "pi5")
        for kind in TopicKind
        for name in ("room", "air")
    ]
    shows = filters_of(parameters).updates
    return [change.topic for change in changes if shows(change)]


def test_without_a_view_everything_is_shown() -> None:
    assert len(shown({})) == 4 * len(TopicKind)


def test_the_overview_shows_no_logs_and_outputs_unless_it_has_their_panels() -> None:
    kinds = {topic.split("/")[1] for topic in shown({"view": "overview"})}
    assert kinds == {"status", "heartbeat", "about", "plugin", "reading", "sensor", "alarm"}
    with_panels = {topic.split("/")[1] for topic in shown({"view": "overview", "panels": "yes"})}
    assert with_panels - kinds == {"leds", "oled", "buzzer", "fan", "result", "log"}


OF_HEADER = {
    f"{node}/{kind}/{name}"
    for node in ("pi4", "pi5")
    for kind in ("alarm", "status", "plugin")
    for name in ("room", "air")
}


def test_every_view_shows_what_its_header_counts_and_that_of_alarms_the_titles() -> None:
    described = {topic for topic in shown({}) if topic.split("/")[1] in ("about", "sensor")}
    assert set(shown({"view": "alarms"})) == OF_HEADER | described


def test_a_sensor_view_shows_its_sensor_and_what_belongs_to_it() -> None:
    node_wide = {
        f"pi4/{kind}/{name}"
        for kind in ("status", "about", "alarm", "plugin")
        for name in ("room", "air")
    }
    of_sensor = {"pi4/reading/room", "pi4/sensor/room"}
    assert set(shown(SENSOR)) == OF_HEADER | node_wide | of_sensor
    compared = shown(SENSOR | {"compare": "pi5:air"})
    assert set(compared) == OF_HEADER | node_wide | of_sensor | {
        "pi5/reading/air",
        "pi5/sensor/air",
    }


def test_the_view_of_a_node_shows_all_of_it() -> None:
    of_node = {topic for topic in shown({}) if topic.startswith("pi4/")}
    assert set(shown({"view": "node", "node": "pi4"})) == OF_HEADER | of_node


def test_the_view_of_the_system_shows_what_its_header_counts_alone() -> None:
    assert set(shown({"view": "system"})) == OF_HEADER


@pytest.mark.parametrize(
    ("parameters", "texts"),
    [
        ({}, ["a", "B", "c"]),
        ({"level": "warning"}, ["B", "c"]),
        ({"node": "pi4"}, ["a", "B"]),
        ({"source": "DHT", "text": ""}, ["c"]),
        ({"text": "b"}, ["B"]),
    ],
)
def test_the_view_of_the_log_shows_lines_that_pass_its_filters(
    parameters: dict[str, str], texts: list[str]
) -> None:
    lines = [
        ("pi4", Log(1, "info", "host", "a")),
        ("pi4", Log(2, "warning", "host", "B")),
        ("pi5", Log(3, "error", "plugin:dht22", "c")),
    ]
    shows = filters_of({"view": "log", **parameters}).updates
    changes = [Change(f"{node}/logs", TopicKind.LOG, node, "", line) for node, line in lines]
    assert [it.value.message for it in changes if shows(it)] == texts
    assert not shows(Change("pi4/leds", TopicKind.LEDS, "pi4", "", 1))


def test_a_snapshot_has_of_other_nodes_only_what_needs_attention() -> None:
    failed, running = (
        Change(f"pi5/plugins/{name}", TopicKind.PLUGIN, "pi5", name, PluginState(state, "", 0, 0))
        for name, state in (("a", "failed"), ("b", "running"))
    )
    shows = filters_of(SENSOR).snapshot
    assert (shows(failed), shows(running)) == (True, False)
    assert filters_of(SENSOR).updates(running)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"view": "attic"}, "view: found 'attic', expected one of overview, sensor"),
        ({"view": "log", "level": "loud"}, "level: found 'loud', expected one of debug"),
        ({"view": "node"}, "node: found nothing"),
        ({"view": "sensor", "sensor": "room"}, "node: found nothing"),
        ({"view": "sensor", "node": "pi4", "sensor": ""}, "sensor: found nothing"),
    ],
)
def test_a_wrong_view_is_one_clear_line(parameters: dict[str, str], error: str) -> None:
    with pytest.raises(UnknownViewError, match=error):
        filters_of(parameters)
