"""Needs for attention: active alarms, nodes that are gone and plugins that failed. Pure.

The header of every view counts them, the overview lists them. `frame/attention.js` of the page and
the dashboard plugin draw the same.
"""

from collections.abc import Iterable

from bus.config.alarms_table import RuleKind
from bus.contract.topics import TopicKind
from hub_app.live.change import Change

# A change of another kind does not change the count.
KINDS = frozenset({TopicKind.ALARM, TopicKind.STATUS, TopicKind.PLUGIN})
# The kind of rule whose alarm names a fault.
_RULE_KINDS: dict[TopicKind, RuleKind] = {TopicKind.STATUS: "lost", TopicKind.PLUGIN: "plugin"}


def needs_attention(entry: Change) -> bool:
    """Whether an entry is an alarm or a fault; an acknowledged alarm is one, too."""
    if entry.kind is TopicKind.STATUS:
        return bool(entry.value.presence != "online")
    if entry.kind is TopicKind.PLUGIN:
        return bool(entry.value.state == "failed")
    return entry.kind is TopicKind.ALARM


def open_count(entries: Iterable[Change]) -> int:
    """Return how many need attention. A fault that has an alarm is counted by the alarm alone."""
    found = [entry for entry in entries if needs_attention(entry)]
    alarms = [entry for entry in found if entry.kind is TopicKind.ALARM]
    named = {(alarm.value.kind, alarm.node, alarm.value.sensor) for alarm in alarms}
    faults = [entry for entry in found if entry.kind is not TopicKind.ALARM]
    return sum(not alarm.value.acknowledged for alarm in alarms) + sum(
        (_RULE_KINDS[fault.kind], fault.node, fault.name) not in named for fault in faults
    )
