"""Rendering of many nodes: areas, tiles, and what needs attention."""

from bus.contract.description import About
from bus.contract.messages import Alarm, Message, PluginState
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.samples import NOW_MS, heartbeat, reading, status
from tests.plugins.dashboard.test_document import Parsed, page, sensor

SEVERITIES = ("info", "critical", "warning")


def about(node: str, title: str, area: str) -> tuple[Topic, About]:
    return Topic(node, TopicKind.ABOUT), About(title, area, "", "", "", "", {}, {})


def many(*more: tuple[Topic, Message]) -> Parsed:
    others = [(Topic(f"n{n}", TopicKind.STATUS), status()) for n in range(6)]
    return page(*others, *more, cards=[])


def attributes_of(shown: Parsed, tag: str) -> list[dict[str, str | None]]:
    return [attributes for name, attributes in shown.elements if name == tag]


def test_a_sensor_is_in_its_own_area_or_in_that_of_its_node() -> None:
    shown = many(
        about("pi4", "Board", "Cellar"),
        sensor("dht22-gpio4", "Desk", "attic"),
        reading(),
        reading(sensor="dht22-gpio5"),
    )
    areas = [a["data-area"] for a in attributes_of(shown, "details") if "data-area" in a]
    assert areas == ["attic", "Cellar", ""]
    text = shown.text
    order = [
        text.index(word) for word in ("attic1 node, 1 sensor", "Desk", "Cellar", "dht22-gpio5")
    ]
    assert order == sorted(order)


def test_a_node_has_its_health_once_in_its_own_area() -> None:
    shown = many(
        about("pi4", "Board", "Cellar"),
        (Topic("pi4", TopicKind.HEARTBEAT), heartbeat()),
        sensor("dht22-gpio4", "Desk", "Attic"),
        reading(),
    )
    assert len(shown.having(data_group="pi4")) == 2
    assert len(shown.having(class_="health")) == 1


def test_a_tile_has_eight_rows_and_names_the_field_of_its_curve() -> None:
    shown = many(reading(**{f"field-{n}": n for n in range(12)}))
    assert len([a for a in attributes_of(shown, "div") if "data-field" in a]) == 8
    (tile,) = shown.having(data_topic="harvester/pi4/readings/dht22-gpio4")
    assert "data-more" in tile
    (spark,) = shown.having(data_spark_of="pi4:dht22-gpio4")
    assert spark["data-spark-field"] == "field-0"


def test_a_text_has_no_curve() -> None:
    (spark,) = many(reading(label="dim")).having(data_spark_of="pi4:dht22-gpio4")
    assert "data-spark-field" not in spark


def test_alarms_lost_nodes_and_failed_plugins_come_first_by_severity() -> None:
    alarms = [
        (
            Topic("pi4", TopicKind.ALARM, name),
            Alarm(severity, f"{severity} alarm", NOW_MS, sensor="dht22-gpio4"),  # type: ignore[arg-type]
        )
        for name, severity in zip("abc", SEVERITIES, strict=True)
    ]
    failed = Topic("n1", TopicKind.PLUGIN, "oled"), PluginState("failed", "", 0, 1)
    lost = Topic("n2", TopicKind.STATUS), status("offline")
    shown = many(reading(), *alarms, failed, lost)
    lines = attributes_of(shown, "li")
    assert [a["data-severity"] for a in lines] == [
        *("critical", "critical", "warning", "warning", "info")
    ]
    for text in ("node offline", "plugin oled failed", "critical alarm", "5 need attention"):
        assert text in shown.text
    assert "(5) HARVESTER" in shown.text
    (tile,) = shown.having(data_topic="harvester/pi4/readings/dht22-gpio4")
    assert tile["data-severity"] == "critical"


def test_a_fault_that_has_an_alarm_is_named_once_and_not_counted_when_acknowledged() -> None:
    alarm = Alarm("critical", "pi4: the node is offline", NOW_MS, acknowledged=True, kind="lost")
    shown = many(
        (Topic("pi4", TopicKind.STATUS), status("offline")),
        (Topic("pi4", TopicKind.ALARM, "node-lost"), alarm),
    )
    (line,) = attributes_of(shown, "li")
    assert "data-acknowledged" in line
    assert "pi4the node is offline" in shown.text
    (counter,) = shown.having(id="attention-count")
    assert "hidden" in counter


def test_an_alarm_hides_no_other_fault_of_its_node() -> None:
    shown = many(
        (Topic("pi4", TopicKind.STATUS), status("offline")),
        (Topic("pi4", TopicKind.ALARM, "waiting"), Alarm("info", "many", NOW_MS, kind="outbox")),
    )
    assert len(attributes_of(shown, "li")) == 2


def test_numbers_in_names_are_in_their_order() -> None:
    named = [about(f"n{n}", title, "") for n, title in enumerate(("Board 16", "board 8", "Attic"))]
    headings = [f"n{n}" for n in (2, 1, 0, 3, 4, 5)]
    shown = many(*named)
    groups = [a["data-group"] for a in attributes_of(shown, "section") if "data-group" in a]
    assert groups == headings
