"""Panel for the counters of the embedded broker, which broker.js fetches and fills in."""

from dashboard.fields import ABSENT
from dashboard.markup import Html, element, join

# Rows in order: name in broker.js, label, unit.
_COUNTERS = (
    ("clients", "Clients", ""),
    ("messages", "Messages", "/s"),
    ("retained", "Retained", ""),
    ("queued", "Waiting", ""),
    ("refused", "Refused", ""),
)


def broker_panel() -> Html:
    """Return a panel that stays hidden until broker.js knows that the broker is embedded."""
    rows = [_row(*counter) for counter in _COUNTERS]
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
