"""Form for a rule of alarms, filled in from the address."""

import re
from collections.abc import Iterable, Mapping
from typing import get_args

from starlette.requests import Request

from bus.config.alarms_table import RuleKind
from bus.contract.messages import Severity
from bus.contract.topics import TopicKind
from hub_app.alarms.rules import Rule
from hub_app.http.responses import hub_of
from hub_app.http.slices import sliced
from hub_app.http.views.template import Html, attributes, fill, fill_file, join, join_many
from hub_app.live.state import State

# The keys of a rule that the form has, in its order.
KEYS = (
    *("name", "kind", "field", "above", "below", "clear", "for_s", "severity"),
    *("node", "sensor", "area", "text"),
)
# As the [[alarms]] table allows.
_MAX_NAME = 32
_WITHOUT_SENSOR = ("lost", "outbox", "disk", "certificate", "clock", "backup")
_KIND_LABELS: dict[RuleKind, str] = {
    "field": "a value above or below its limit",
    "stale": "a sensor without new readings",
    "fault": "a sensor with missing or impossible values",
    "lost": "a node that is lost",
    "plugin": "a plugin that failed",
    "outbox": "readings that wait at a node",
    "disk": "the hub's disk nearly full",
    "certificate": "the hub's certificate near its end",
    "clock": "a node's clock that is wrong",
    "backup": "a nightly backup that is old",
}
_OPTION = "<option$attributes>$label</option>"


def values_of(rule: Rule) -> dict[str, object]:
    """Return the keys that `POST /api/alarms/rules` takes to make the same rule."""
    found = {key: getattr(rule, key) for key in KEYS}
    left_out = ["sensor"] if rule.kind in _WITHOUT_SENSOR else []
    return {
        key: value
        for key, value in found.items()
        if value not in (None, "", "*") and key not in left_out
    }


def text_of(value: object) -> str:
    """Return a key's value as people type it: 60, not 60.0."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


async def rule_form(request: Request) -> Html:
    """Return the form; a rule of hub.toml fills it in as a copy without its name."""
    hub, params = hub_of(request), request.query_params
    rules = {rule.name: rule for rule in hub.alarms.book.every}
    rule = rules.get(params.get("rule", ""))
    is_fixed = rule is not None and rule.source == "hub.toml"
    values = {key: text_of(value) for key, value in values_of(rule).items()} if rule else {}
    if is_fixed:
        values.pop("name")
    values |= {key: params[key] for key in KEYS if key in params}
    values.setdefault("name", _suggested_name(values))
    is_change = rule is not None and not is_fixed
    return fill_file(
        "alarms/rule_form.html",
        heading=f"Change {values['name']}" if is_change else "New rule",
        is_open=attributes(open=bool(values.keys() - {"name"})),
        kinds=_options(_KIND_LABELS.items(), values.get("kind", "field")),
        severities=_options(
            ((word, word) for word in get_args(Severity)), values.get("severity", "warning")
        ),
        is_new=attributes(hidden=not is_change),
        **{key: values.get(key, "") for key in KEYS if key not in ("kind", "severity")},
        **await _lists(hub.state),
    )


def _suggested_name(values: Mapping[str, str]) -> str:
    """Return a name for a new rule: field, side and sensor; empty without a limit."""
    side = next((key for key in ("above", "below") if values.get(key)), "")
    if not side:
        return ""
    parts = [values.get(key, "") for key in ("field", "sensor")]
    words = re.findall("[a-z0-9]+", f"{parts[0]} {side} {parts[1]}".lower())
    return "-".join(words)[:_MAX_NAME].rstrip("-")


def _options(choices: Iterable[tuple[str, str]], chosen: str) -> Html:
    return join(
        [
            fill(_OPTION, attributes=attributes(value=value, selected=value == chosen), label=label)
            for value, label in choices
        ]
    )


async def _lists(state: State) -> dict[str, Html]:
    """Return the names that the inputs offer."""
    fields: set[str] = set()
    sensors: set[str] = set()
    async for entry in sliced(state.of_kind(TopicKind.READING)):
        fields.update(entry.value.data)
        sensors.add(entry.name)
    described = state.of_kinds((TopicKind.SENSOR, TopicKind.ABOUT))
    areas = {entry.value.description.area async for entry in sliced(described)}
    return {
        "fields": await _suggestions(fields),
        "nodes": await _suggestions(state.nodes),
        "sensors": await _suggestions(sensors),
        "areas": await _suggestions(areas),
    }


async def _suggestions(names: Iterable[str]) -> Html:
    return await join_many(
        fill('<option value="$name"></option>', name=name) for name in sorted({*names}) if name
    )
