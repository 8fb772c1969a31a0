"""Lines of what needs attention: alarms, lost nodes and failed plugins, the urgent ones first."""

from typing import NamedTuple

from dashboard import fields
from dashboard.markup import Html, element
from dashboard.model import SEVERITIES, Entry, Model


class Item(NamedTuple):
    """One line. `name` is the sensor or plugin that it is about, empty for the node itself."""

    severity: str
    node: str
    name: str
    text: str
    since_ms: int | None = None
    is_acknowledged: bool = False


def items(model: Model) -> list[Item]:
    """Return all lines. A fault that has an alarm is named by the alarm alone."""
    alarms = list(model.of_kind("alarm"))
    named = {(entry.value["kind"], entry.node, entry.value["sensor"]) for entry in alarms}
    return sorted([*map(_alarm, alarms), *_faults(model, named)], key=_order)


def open_count(found: list[Item]) -> int:
    """Return how many are not acknowledged."""
    return sum(not item.is_acknowledged for item in found)


def title(count: int) -> str:
    """Return the title of the page's tab."""
    return f"({count}) HARVESTER" if count else "HARVESTER"


def counter(model: Model, count: int) -> Html:
    """Return the count in the page's header; attention.js keeps it up to date."""
    link = element("a", counted(count), href=f"{model.root_path}/#attention")
    return element("p", link, id="attention-count", hidden=not count)


def counted(count: int) -> str:
    return f"{count} {'needs' if count == 1 else 'need'} attention"


def panel(model: Model, found: list[Item]) -> Html:
    return element(
        "section",
        element("h2", "Needs attention", id="attention-title"),
        element("ul", *(_line(model, item) for item in found)),
        class_="panel attention",
        id="attention",
        aria_labelledby="attention-title",
        hidden=not found,
    )


def _alarm(entry: Entry) -> Item:
    alarm = entry.value
    return Item(
        alarm["severity"],
        entry.node,
        alarm["sensor"],
        alarm["text"],
        alarm["since_ms"],
        alarm["acknowledged"],
    )


def _faults(model: Model, named: set[tuple[str, str, str]]) -> list[Item]:
    """Return the faults without an alarm: `named` are kind of rule, node and subject of those."""
    absent = [
        Item("critical", entry.node, "", f"node {entry.value['presence']}", entry.value["heard_ms"])
        for entry in model.of_kind("status")
        if entry.value["presence"] != "online" and ("lost", entry.node, "") not in named
    ]
    failed = [
        Item("warning", entry.node, entry.name, f"plugin {entry.name} failed")
        for entry in model.of_kind("plugin")
        if entry.value["state"] == "failed" and ("plugin", entry.node, entry.name) not in named
    ]
    return [*absent, *failed]


def _order(item: Item) -> tuple[bool, int, str, str]:
    return item.is_acknowledged, -SEVERITIES.index(item.severity), item.node, item.name


def _line(model: Model, item: Item) -> Html:
    is_sensor = f"{item.node}:{item.name}" in model.readings
    path = f"/sensor/{item.node}/{item.name}" if is_sensor else f"/node/{item.node}"
    title_of_node = model.title("about", item.node) or item.node
    return element(
        "li",
        element("a", title_of_node, href=f"{model.root_path}{path}"),
        # The link names the node already.
        element("span", item.text.removeprefix(f"{title_of_node}: "), class_="what"),
        element("span", _since(model, item), class_="since", data_since=item.since_ms),
        data_severity=item.severity,
        data_acknowledged=item.is_acknowledged,
    )


def _since(model: Model, item: Item) -> str:
    if item.since_ms is None:
        return ""
    return f"for {fields.duration(max(0, model.now_ms - item.since_ms) // 1000)}"
