"""Log viewer: a tab and a panel for every node, newest line at the bottom."""

from datetime import UTC, datetime

from dashboard.markup import Html, element
from dashboard.model import Entry, Model


def log_viewer(model: Model) -> Html:
    nodes = model.nodes()
    return element(
        "section",
        element("h2", "Logs", id="logs"),
        element("div", *map(_tab, nodes), role="tablist", aria_labelledby="logs"),
        *(_panel(model, node) for node in nodes),
        class_="panel logs",
        aria_labelledby="logs",
    )


def _tab(node: str) -> Html:
    return element(
        "button",
        node,
        type="button",
        role="tab",
        id=f"tab-{node}",
        aria_controls=f"log-{node}",
        data_tab=node,
    )


def _panel(model: Model, node: str) -> Html:
    lines = (_line(entry) for entry in model.logs if entry.node == node)
    return element(
        "div",
        # It scrolls, which the keyboard does where it has the focus.
        element("ol", *lines, class_="log", tabindex=0, data_log=node),
        id=f"log-{node}",
        role="tabpanel",
        aria_labelledby=f"tab-{node}",
    )


def _line(entry: Entry) -> Html:
    line = entry.value
    return element(
        "li",
        element("time", _clock(line["timestamp_ms"]), data_ms=line["timestamp_ms"]),
        element("span", line["level"], class_="level"),
        element("span", line["source"], class_="source"),
        element("span", line["message"], class_="message"),
        data_level=line["level"],
    )


def _clock(timestamp_ms: int) -> str:
    """Return the time of day in UTC; overview.js replaces it with the browser's local time."""
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return "--:--:--"
    return at.strftime("%H:%M:%S")
