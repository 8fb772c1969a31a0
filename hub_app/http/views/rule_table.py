"""Table of the rules of alarms, with what each asks for in words. Pure."""

import msgspec

from bus.contract.value_text import duration
from hub_app.alarms.rules import Rule, RuleBook
from hub_app.http.views.rule_form import text_of, values_of
from hub_app.http.views.template import Html, attributes, fill, join

_ROW = """<tr$attributes><th scope="row">$name</th><td data-label="condition">$condition</td>
<td data-label="of">$subject</td>
<td data-label="severity"><span class="severity">$severity</span></td>
<td data-label="from">$source</td><td class="commands">$buttons</td></tr>
"""
_BUTTONS = '<div class="buttons">$buttons</div>'
_CHANGE = '<a class="small button" href="?rule=$name#rule" aria-label="Change $name">Change</a>'
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'
# Each kind that has no field, in words; with its limit in between.
_CONDITIONS = {
    "stale": ("no new readings", ""),
    "fault": ("values that are missing or impossible", ""),
    "lost": ("the node is lost or offline", ""),
    "plugin": ("the plugin failed", ""),
    "outbox": ("waiting readings at the node", ""),
    "disk": ("the hub's disk", " %"),
    "certificate": ("days left of the hub's certificate", ""),
    "clock": ("error of the node's clock", " s"),
    "backup": ("age of the last nightly backup", " h"),
}


def rule_rows(book: RuleBook, *, operates: bool) -> Html:
    """Return a row for each rule: first those that people made."""
    order = {"page": 0, "hub.toml": 1, "built-in": 2}
    rules = sorted(book.every, key=lambda rule: (order[rule.source], rule.name))
    return join([_row(rule, operates=operates) for rule in rules])


def condition_of(rule: Rule) -> str:
    """Return in words when a rule's alarm begins and ends."""
    label, unit = (rule.field, "") if rule.kind == "field" else _CONDITIONS[rule.kind]
    side, limit = ("below", rule.below) if rule.above is None else ("above", rule.above)
    parts = [label]
    if limit is not None:
        parts.append(f" {side} {text_of(limit)}{unit}")
    if rule.for_s:
        parts.append(f" for {duration(rule.for_s).removesuffix(' 0 s')}")
    if rule.clear is not None:
        parts.append(f"; over at {text_of(rule.clear)}{unit}")
    return "".join(parts)


def _row(rule: Rule, *, operates: bool) -> Html:
    return fill(
        _ROW,
        attributes=attributes(
            id=f"rule-{rule.name}", data_severity=rule.severity, data_disabled=not rule.enabled
        ),
        name=rule.name,
        condition=condition_of(rule),
        subject=_subject(rule),
        severity=rule.severity,
        source=rule.source if rule.enabled else f"{rule.source}, disabled",
        buttons=_buttons(rule) if operates else "",
    )


def _buttons(rule: Rule) -> Html:
    # hub.toml is changed with an editor.
    if rule.source == "hub.toml":
        return fill("$text", text="read-only")
    switched = values_of(rule) | {"enabled": not rule.enabled}
    label = "Disable" if rule.enabled else "Enable"
    switch = attributes(
        data_rule=msgspec.json.encode(switched).decode(),
        id=f"switch-{rule.name}",
        aria_label=f"{label} {rule.name}",
    )
    buttons = [fill(_CHANGE, name=rule.name), fill(_BUTTON, attributes=switch, label=label)]
    if rule.source == "page":
        delete = attributes(
            data_delete=rule.name, id=f"delete-{rule.name}", aria_label=f"Delete {rule.name}"
        )
        buttons.append(fill(_BUTTON, attributes=delete, label="Delete"))
    return fill(_BUTTONS, buttons=join(buttons))


def _subject(rule: Rule) -> str:
    """Return the nodes, sensors and areas that a rule is about."""
    words = {"node": rule.node, "sensor": rule.sensor, "area": rule.area}
    parts = [f"{name} {pattern}" for name, pattern in words.items() if pattern != "*"]
    return ", ".join(parts) or "all"
