"""Cards: the configured ones, then one for every other node and sensor."""

from typing import Any

from dashboard import fields
from dashboard.markup import Html, element, join
from dashboard.model import Entry, Model
from dashboard.rows import field_row, field_rows


def cards(model: Model) -> Html:
    return join([_card(model, card) for card in [*model.cards, *_other_cards(model)]])


def _other_cards(model: Model) -> list[dict[str, Any]]:
    """Return a card for each node and each sensor that the configuration does not name."""
    sensors = {sensor for card in model.cards for sensor in card["sensors"]}
    nodes = {card["node"] for card in model.cards}
    return [
        *(
            {"title": _title(model, "about", node) or node, "node": node, "sensors": []}
            for node in model.nodes()
            if node not in nodes
        ),
        *(
            {
                "title": _title(model, "sensor", entry.node, entry.name) or entry.name,
                "node": None,
                "sensors": [sensor],
            }
            for sensor, entry in model.readings.items()
            if sensor not in sensors
        ),
    ]


def _card(model: Model, card: dict[str, Any]) -> Html:
    node = card["node"]
    blocks = [_block(model, sensor, card) for sensor in card["sensors"]]
    return element(
        "section",
        element(
            "header",
            element("h2", card["title"]),
            _area(model, "about", node) if node else "",
            _presence(model, node) if node else "",
            _remove_button(node, node) if node and model.may_command else "",
        ),
        _refused(model, node) if node else "",
        *blocks,
        _health(model, node) if node else "",
        class_="card of-node" if node else "card of-sensor",
        **(_described(model, "about", node) if node else {}),
    )


def _described(model: Model, kind: str, node: str, name: str = "") -> dict[str, str]:
    """Return the attributes by which app.js sees that a description is another one now."""
    return {
        "data_digest_of": f"{kind} {node} {name}",
        "data_digest": model.digest(kind, node, name),
    }


def _title(model: Model, kind: str, node: str, name: str = "") -> str:
    return str(model.description(kind, node, name).get("title", ""))


def _area(model: Model, kind: str, node: str, name: str = "") -> Html | str:
    area = model.description(kind, node, name).get("area", "")
    return element("span", area, class_="area") if area else ""


def _buttons(model: Model, reading: Entry) -> Html:
    name = reading.name
    return element(
        "span",
        _name_button(model, "sensor", reading.node, name),
        _remove_button(reading.value["sensor_id"], name),
    )


def _name_button(model: Model, kind: str, node: str, sensor: str = "") -> Html | str:
    """Return a button that opens the dialog for title and area, where the node takes names."""
    if "names" not in model.description("about", node).get("actuators", ()):
        return ""
    described = model.description(kind, node, sensor)
    return element(
        "button",
        "Name",
        type="button",
        class_="name",
        aria_label=f"Name {sensor or node}",
        data_name_of=node,
        data_sensor=sensor or None,
        data_title=described.get("title", ""),
        data_area=described.get("area", ""),
    )


def _remove_button(removed: str, name: str) -> Html:
    """Return a button that opens the dialog; `removed` is a node, or a sensor as `node:sensor`."""
    return element(
        "button",
        "Remove",
        type="button",
        class_="remove",
        aria_label=f"Remove {name}",
        data_remove=removed,
    )


def _presence(model: Model, node: str) -> Html:
    presence = model.presence(node)
    return element(
        "span", presence, class_="presence", data_presence_of=node, data_presence=presence
    )


def _refused(model: Model, node: str) -> Html:
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


def _block(model: Model, sensor: str, card: dict[str, Any]) -> Html:
    reading = model.readings.get(sensor)
    if reading is None:
        waiting = element("p", f"no reading of {sensor} yet", class_="waiting")
        return element("div", waiting, class_="reading")
    known = fields.described(model.fields(reading.node, reading.name))
    return element(
        "div",
        _heading(model, reading, card),
        element("dl", field_rows(reading.value["data"], known)),
        element(
            "p",
            element("span", _age(model, reading), class_="age"),
            _buttons(model, reading) if model.may_command else "",
            class_="age-line",
        ),
        # Filled in by coverage.js: it comes from the history, not from the live state.
        element(
            "div",
            class_="coverage",
            data_coverage_of=reading.value["sensor_id"],
            data_coverage_node=reading.node,
        ),
        class_="reading",
        data_topic=reading.topic,
        data_presence_of=reading.node,
        data_presence=model.presence(reading.node),
        data_at=reading.value["at_ms"],
        data_stale_after=reading.value["stale_after_ms"],
        data_stale=model.is_stale(reading),
        **_described(model, "sensor", reading.node, reading.name),
    )


def _heading(model: Model, reading: Entry, card: dict[str, Any]) -> Html:
    """Return the title, or the id where the sensor has none, and the area."""
    sensor: str = reading.value["sensor_id"]
    plain = reading.name if card["node"] == reading.node else sensor
    title = _title(model, "sensor", reading.node, reading.name)
    area = _area(model, "sensor", reading.node, reading.name)
    if card["node"] == reading.node and area == _area(model, "about", reading.node):
        # The card has it already.
        area = ""
    link = element(
        "a",
        title or plain,
        href=f"{model.root_path}/sensor/{reading.node}/{reading.name}",
        title=sensor if title else None,
    )
    return element("h3", link, area)


def _age(model: Model, reading: Entry) -> str:
    age_s = max(0, model.now_ms - reading.value["at_ms"]) // 1000
    return f"{fields.duration(age_s)} ago"


def _health(model: Model, node: str) -> Html | str:
    heartbeat = model.find("heartbeat", node)
    if heartbeat is None:
        return ""
    return element(
        "details",
        element("summary", "service"),
        element(
            "dl",
            join(
                [
                    field_row(name, field, heartbeat.value)
                    for name, field in fields.HEARTBEAT_FIELDS.items()
                ]
            ),
            data_topic=heartbeat.topic,
        ),
        _name_button(model, "about", node) if model.may_command else "",
        id=f"service-{node}",
    )
