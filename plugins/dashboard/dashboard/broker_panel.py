"""Places for the figures of the hub's own broker; the browser asks for them by itself."""

from dashboard.fields import ABSENT
from dashboard.markup import Html, element, join

# In the order of the rows: what broker.js calls it, label and unit.
_FIGURES = (
    ("clients", "Clients", ""),
    ("messages", "Messages", "/s"),
    ("retained", "Retained", ""),
    ("queued", "Waiting", ""),
    ("refused", "Refused", ""),
)


def broker_panel() -> Html:
    """Return a panel that stays hidden until the browser knows that there is such a broker."""
    rows = [_row(*figure) for figure in _FIGURES]
    return element(
        "section",
        element("h2", "Broker", id="broker-title"),
        element("dl", join(rows)),
        class_="panel broker",
        id="broker",
        hidden=True,
        aria_labelledby="broker-title",
    )


def _row(name: str, label: str, unit: str) -> Html:
    return element(
        "div",
        element("dt", label),
        element(
            "dd",
            element("span", ABSENT, class_="value"),
            element("span", unit, class_="unit") if unit else "",
        ),
        class_="field",
        data_figure=name,
    )
