"""Areas: the sensors of many nodes as tiles, grouped by area and then by node."""

import re

from dashboard.attention import SEVERITIES, Item, counted
from dashboard.cards import remove_button
from dashboard.health import heartbeat_rows
from dashboard.markup import Html, element, join
from dashboard.model import Entry, Model
from dashboard.tile import described, node_link, presence, refused, sensor_link, tile

# Text, and the number behind it; a number has no more digits than an int is quickly made of.
_WORDS = re.compile(r"(\D+|(?=\d))(\d{0,9})", re.ASCII)
# Readings by node.
Groups = dict[str, list[Entry]]


def areas(model: Model, found: list[Item]) -> Html:
    """Return an area after the other by name; what has none comes last.

    `found` is what needs attention, of which each area has a count.
    """
    by_area = _by_area(model)
    names = sorted(by_area, key=lambda name: (not name, _natural(name)))
    waiting = [item for item in found if not item.is_acknowledged]
    return join([_area(model, name, by_area[name], waiting) for name in names])


def _by_area(model: Model) -> dict[str, Groups]:
    """Return readings by area and node. A sensor without an area is in that of its node."""
    found: dict[str, Groups] = {}
    for node in model.nodes():
        found.setdefault(model.area("about", node), {})[node] = []
    for reading in model.readings.values():
        own = model.area("sensor", reading.node, reading.name)
        area = own or model.area("about", reading.node)
        found.setdefault(area, {}).setdefault(reading.node, []).append(reading)
    return found


def _area(model: Model, name: str, groups: Groups, found: list[Item]) -> Html:
    sensors = sum(map(len, groups.values()))
    return element(
        "details",
        element(
            "summary",
            element("h2", name or "No area"),
            element("span", f"{_counted(groups, 'node')}, {_counted(range(sensors), 'sensor')}"),
            _worst([item for item in found if _is_in(model, item, groups)]),
            # Filled in by areas.js while the area is folded.
            element("span", class_="area-range"),
        ),
        element("div", *(_group(model, name, *group) for group in _sorted(model, groups))),
        class_="area-fold",
        data_area=name,
        open=True,
    )


def _is_in(model: Model, item: Item, groups: Groups) -> bool:
    """Whether an area has the sensor that an item is about, or else its node."""
    sensor = f"{item.node}:{item.name}"
    own = [reading.value["sensor_id"] for reading in groups.get(item.node, ())]
    return sensor in own if sensor in model.readings else item.node in groups


def _worst(found: list[Item]) -> Html:
    """Return the count of what needs attention in an area, in the colour of the worst."""
    worst = max((SEVERITIES.index(item.severity) for item in found), default=None)
    return element(
        "span",
        counted(len(found)),
        class_="area-worst",
        data_worst=None if worst is None else SEVERITIES[worst],
        hidden=not found,
    )


def _counted(things: Groups | range, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _sorted(model: Model, groups: Groups) -> list[tuple[str, list[Entry]]]:
    return sorted(groups.items(), key=lambda group: _natural(_name(model, group[0])))


def _natural(text: str) -> list[tuple[str, int]]:
    """Return the sort key by which "Board 8" comes before "Board 16"."""
    return [(word.casefold(), int(digits or 0)) for word, digits in _WORDS.findall(text)]


def _name(model: Model, node: str) -> str:
    return model.title("about", node) or node


def _group(model: Model, area: str, node: str, readings: list[Entry]) -> Html:
    """Return the card of a node's sensors in one area; that of its own area has its health."""
    is_own = model.area("about", node) == area
    return element(
        "section",
        element(
            "header",
            element("h3", node_link(model, node, _name(model, node))),
            presence(model, node),
        ),
        _health(model, node) if is_own else "",
        refused(model, node) if is_own else "",
        *(_tile(model, reading) for reading in readings),
        class_="card group",
        data_group=node,
        **described(model, "about", node),
    )


def _tile(model: Model, reading: Entry) -> Html:
    heading = element("h4", sensor_link(model, reading, reading.name))
    may_remove = model.may_command and model.is_stale(reading)
    if not may_remove:
        return tile(model, reading, heading)
    return tile(model, reading, heading, remove_button(reading.value["sensor_id"], reading.name))


def _health(model: Model, node: str) -> Html | str:
    heartbeat = model.find("heartbeat", node)
    if heartbeat is None:
        return ""
    return element(
        "dl", heartbeat_rows(model, heartbeat), class_="health", data_topic=heartbeat.topic
    )
