"""Tile of a sensor: its values, the main one large, its last day, its age and its coverage."""

from itertools import islice

from dashboard import fields
from dashboard.fields import Field, Scalar
from dashboard.markup import Html, element
from dashboard.model import Entry, Model
from dashboard.rows import field_rows, shown_fields

# Rows of a tile where there are many sensors.
_MOST_ROWS = 8


def tile(model: Model, reading: Entry, heading: Html, buttons: Html | str = "") -> Html:
    """Return the tile; overview.js brings its values up to date, and fills in its last day."""
    value = reading.value
    known = fields.described(model.fields(reading.node, reading.name))
    shown = shown_fields(value["data"], known)
    rows = dict(islice(shown.items(), None if model.has_panels else _MOST_ROWS))
    return element(
        "div",
        heading,
        _spark(value["sensor_id"], rows, value["data"]),
        element("dl", field_rows(rows, value["data"], model.formats)),
        element(
            "p",
            element("span", age(model, value["at_ms"]), class_="age"),
            buttons,
            class_="age-line",
        ),
        # Filled in by coverage.js: it comes from the history, not from the live state.
        element(
            "div",
            class_="coverage",
            data_coverage_of=value["sensor_id"],
            data_coverage_node=reading.node,
        ),
        class_="reading",
        # The others are in the sensor's view.
        data_more=len(rows) < len(shown),
        data_topic=reading.topic,
        data_presence_of=reading.node,
        data_presence=model.presence(reading.node),
        data_at=value["at_ms"],
        data_stale_after=value["stale_after_ms"],
        data_stale=model.is_stale(reading),
        data_severity=model.severity(reading.node, reading.name) or None,
        **described(model, "sensor", reading.node, reading.name),
    )


def age(model: Model, at_ms: int) -> str:
    return f"{fields.duration(max(0, model.now_ms - at_ms) // 1000)} ago"


def described(model: Model, kind: str, node: str, name: str = "") -> dict[str, str]:
    """Return the attributes by which overview.js sees that a description is another one now."""
    return {
        "data_digest_of": f"{kind} {node} {name}",
        "data_digest": model.digest(kind, node, name),
    }


def sensor_link(model: Model, reading: Entry, plain: str) -> Html:
    """Return a link to the sensor's view, under its title or else under `plain`."""
    sensor: str = reading.value["sensor_id"]
    title = model.title("sensor", reading.node, reading.name)
    return element(
        "a",
        title or plain,
        href=f"{model.root_path}/sensor/{reading.node}/{reading.name}",
        title=sensor if title else None,
        id=f"sensor-{sensor}",
    )


def area(text: str) -> Html | str:
    return element("span", text, class_="area") if text else ""


def presence(model: Model, node: str) -> Html:
    text = model.presence(node)
    return element("span", text, class_="presence", data_presence_of=node, data_presence=text)


def refused(model: Model, node: str) -> Html:
    """Return a line that counts the messages which the hub refused, hidden without any."""
    counts = model.refused(node)
    text = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return element(
        "p",
        f"refused: {text}" if text else "",
        class_="refused",
        data_refused_of=node,
        hidden=not text,
    )


def node_link(model: Model, node: str, text: str) -> Html:
    return element("a", text, href=f"{model.root_path}/node/{node}")


def _spark(sensor: str, shown: dict[str, Field], data: dict[str, Scalar]) -> Html:
    """Return the place of the main value's last day, which spark.js draws once it is in view."""
    main = next(iter(shown), None)
    # A text has no curve.
    field = None if main is None or isinstance(data.get(main), str) else main
    return element("div", class_="spark", data_spark_of=sensor, data_spark_field=field)
