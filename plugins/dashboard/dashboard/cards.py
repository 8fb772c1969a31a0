"""Cards: the configured ones, then one for every other node and sensor."""

from typing import Any

from dashboard.health import heartbeat_rows
from dashboard.markup import Html, element
from dashboard.model import Entry, Model
from dashboard.tile import area as area_of
from dashboard.tile import described, node_link, presence, refused, sensor_link, tile

# A card with more sensors is tall.
_LOW_SENSORS = 3


def cards(model: Model) -> tuple[list[Html], list[Html]]:
    """Return the low cards and the tall ones."""
    low: list[Html] = []
    tall: list[Html] = []
    for card in [*model.cards, *_other_cards(model)]:
        (low if len(card["sensors"]) <= _LOW_SENSORS else tall).append(_card(model, card))
    return low, tall


def _other_cards(model: Model) -> list[dict[str, Any]]:
    """Return a card for each node and each sensor that the configuration does not name."""
    sensors = {sensor for card in model.cards for sensor in card["sensors"]}
    nodes = {card["node"] for card in model.cards}
    return [
        *(
            {"title": model.title("about", node) or node, "node": node, "sensors": []}
            for node in model.nodes()
            if node not in nodes
        ),
        *(
            {
                "title": model.title("sensor", entry.node, entry.name) or entry.name,
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
            element("h2", node_link(model, node, card["title"]) if node else card["title"]),
            area_of(model.area("about", node)) if node else "",
            presence(model, node) if node else "",
            remove_button(node, node) if node and model.may_command else "",
        ),
        refused(model, node) if node else "",
        *blocks,
        _health(model, node) if node else "",
        class_="card of-node" if node else "card of-sensor",
        **(described(model, "about", node) if node else {}),
    )


def _buttons(model: Model, reading: Entry) -> Html:
    name = reading.name
    return element(
        "span",
        _name_button(model, "sensor", reading.node, name),
        remove_button(reading.value["sensor_id"], name),
    )


def _name_button(model: Model, kind: str, node: str, sensor: str = "") -> Html | str:
    """Return a button that opens the dialog for title and area, where the node takes names."""
    if "names" not in model.description("about", node).get("actuators", ()):
        return ""
    named = model.description(kind, node, sensor)
    return element(
        "button",
        "Name",
        type="button",
        class_="name",
        aria_label=f"Name {sensor or node}",
        data_name_of=node,
        data_sensor=sensor or None,
        data_title=named.get("title", ""),
        data_area=named.get("area", ""),
    )


def remove_button(removed: str, name: str) -> Html:
    """Return a button that opens the dialog; `removed` is a node, or a sensor as `node:sensor`."""
    return element(
        "button",
        "Remove",
        type="button",
        class_="remove",
        aria_label=f"Remove {name}",
        data_remove=removed,
    )


def _block(model: Model, sensor: str, card: dict[str, Any]) -> Html:
    reading = model.readings.get(sensor)
    if reading is None:
        waiting = element("p", f"no reading of {sensor} yet", class_="waiting")
        return element("div", waiting, class_="reading")
    buttons = _buttons(model, reading) if model.may_command else ""
    return tile(model, reading, _heading(model, reading, card), buttons)


def _heading(model: Model, reading: Entry, card: dict[str, Any]) -> Html:
    """Return the title, or the id where the sensor has none, and the area."""
    is_of_node = card["node"] == reading.node
    link = sensor_link(model, reading, reading.name if is_of_node else reading.value["sensor_id"])
    area = model.area("sensor", reading.node, reading.name)
    if is_of_node and area == model.area("about", reading.node):
        # The card has it already.
        area = ""
    return element("h3", link, area_of(area))


def _health(model: Model, node: str) -> Html | str:
    heartbeat = model.find("heartbeat", node)
    if heartbeat is None:
        return ""
    return element(
        "details",
        element("summary", "service"),
        element("dl", heartbeat_rows(model, heartbeat), data_topic=heartbeat.topic),
        _name_button(model, "about", node) if model.may_command else "",
        id=f"service-{node}",
    )
