"""Event filters of the views."""

import pytest

from bus.contract.topics import TopicKind
from hub_app.live.change import Change
from hub_app.live.event_filter import UnknownViewError, filter_of

SENSOR = {"view": "sensor", "node": "pi4", "sensor": "room"}


def shown(parameters: dict[str, str]) -> list[str]:
    changes = [
        Change(f"{node}/{kind}/{name}", kind, node, name, 1)
        for node in ("pi4", "pi5")
        for kind in TopicKind
        for name in ("room", "air")
    ]
    shows = filter_of(parameters)
    return [change.topic for change in changes if shows(change)]


def test_without_a_view_everything_is_shown() -> None:
    assert len(shown({})) == 4 * len(TopicKind)


def test_the_overview_shows_no_logs_and_outputs_unless_it_has_their_panels() -> None:
    kinds = {topic.split("/")[1] for topic in shown({"view": "overview"})}
    assert kinds == {"status", "heartbeat", "about", "plugin", "reading", "sensor", "alarm"}
    with_panels = {topic.split("/")[1] for topic in shown({"view": "overview", "panels": "yes"})}
    assert with_panels - kinds == {"leds", "oled", "buzzer", "fan", "result", "log"}


ALARMS = {f"{node}/alarm/{name}" for node in ("pi4", "pi5") for name in ("room", "air")}


def test_every_view_shows_the_alarms_and_theirs_the_titles() -> None:
    described = {topic for topic in shown({}) if topic.split("/")[1] in ("about", "sensor")}
    assert set(shown({"view": "alarms"})) == ALARMS | described


def test_a_sensor_view_shows_its_sensor_and_what_belongs_to_it() -> None:
    node_wide = {
        f"pi4/{kind}/{name}"
        for kind in ("status", "about", "alarm", "plugin")
        for name in ("room", "air")
    }
    of_sensor = {"pi4/reading/room", "pi4/sensor/room"}
    assert set(shown(SENSOR)) == ALARMS | node_wide | of_sensor
    compared = shown(SENSOR | {"compare": "pi5:air"})
    assert set(compared) == ALARMS | node_wide | of_sensor | {"pi5/reading/air", "pi5/sensor/air"}


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"view": "attic"}, "view: found 'attic', expected one of overview, sensor, alarms"),
        ({"view": "sensor", "sensor": "room"}, "node: found nothing"),
        ({"view": "sensor", "node": "pi4", "sensor": ""}, "sensor: found nothing"),
    ],
)
def test_a_wrong_view_is_one_clear_line(parameters: dict[str, str], error: str) -> None:
    with pytest.raises(UnknownViewError, match=error):
        filter_of(parameters)
