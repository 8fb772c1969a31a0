"""Sensors of a node with their newest values, and the places of its charts of health."""

from collections.abc import Iterator
from urllib.parse import quote

from bus.contract.description import FieldDescription, SensorDescription
from bus.contract.topics import TopicKind, global_sensor_id
from bus.contract.value_text import duration
from hub_app.history.retention import heartbeats
from hub_app.http.views.field_rows import field_rows
from hub_app.http.views.template import Html, attributes, fill, join
from hub_app.hub import Hub
from hub_app.live.change import Change
from hub_app.live.state import State

# The fields of the machine's health, which the monitors of all boards have.
_HEALTH_FIELDS = ("cpu_usage", "cpu_temp", "memory_used_mb")
# The heartbeat as a reading would be described.
HEARTBEAT = {
    "uptime_s": FieldDescription("Program runs for", duration=True),
    "cycle_ms": FieldDescription("Cycle", "ms", decimals=0),
    "rss_mb": FieldDescription("Memory of the program", "MB", decimals=1),
    "outbox_rows": FieldDescription("Readings in the outbox", decimals=0),
    "dropped": FieldDescription("Given up by a full outbox", decimals=0),
}
_UNDESCRIBED = SensorDescription("", "", "", 2.0, {})

_SENSOR = """<div class="reading"$attributes>
<h3><a href="$href">$title</a>$area</h3>
<dl>
$rows</dl>
<p class="age-line"><span class="age">$age</span></p>
</div>
"""
_AREA = ' <span class="area">$area</span>'
_CHART = """<section class="chart-card" aria-labelledby="$id"$attributes>
<h3 id="$id">$label</h3><div class="chart" tabindex="0" role="group" aria-roledescription="chart" \
aria-labelledby="$id"></div></section>
"""


def sensors(hub: Hub, node: str, root: str) -> Html:
    """Return each sensor of a node with its newest values."""
    readings = sorted(
        (entry for entry in hub.state.of_node(node) if entry.kind is TopicKind.READING),
        key=lambda entry: entry.name,
    )
    return join([_sensor(hub, entry, root) for entry in readings])


def health_charts(state: State, node: str) -> Html:
    """Return the place of a chart for each field of the machine's health."""
    found = []
    for entry in state.of_node(node):
        if entry.kind is not TopicKind.READING:
            continue
        described = state.description(node, entry.name) or _UNDESCRIBED
        found += [
            _chart(
                global_sensor_id(node, entry.name),
                field,
                described.fields.get(field, FieldDescription()),
            )
            for field in _HEALTH_FIELDS
            if field in entry.value.data
        ]
    return join([*found, *_heartbeat_charts(node)])


def _heartbeat_charts(node: str) -> Iterator[Html]:
    """Yield the charts of the node's program, which the hub makes from heartbeats."""
    for field in heartbeats.FIELDS:
        yield _chart(global_sensor_id(node, heartbeats.SENSOR), field, HEARTBEAT[field])


def _sensor(hub: Hub, entry: Change, root: str) -> Html:
    described = hub.state.description(entry.node, entry.name) or _UNDESCRIBED
    view, age_ms = entry.value, max(0, hub.now_ms() - entry.value.at_ms)
    return fill(
        _SENSOR,
        attributes=attributes(
            data_topic=entry.topic,
            data_presence_of=entry.node,
            data_presence=hub.state.presence(entry.node).view.presence,
            data_at=view.at_ms,
            data_stale_after=view.stale_after_ms,
            data_stale=age_ms > view.stale_after_ms,
        ),
        href=f"{root}/sensor/{quote(entry.node, safe='')}/{quote(entry.name, safe='')}",
        title=described.title or entry.name,
        area=fill(_AREA, area=described.area) if described.area else "",
        rows=field_rows(view.data, described.fields),
        age=f"{duration(age_ms / 1000)} ago",
    )


def _chart(sensor: str, field: str, described: FieldDescription) -> Html:
    return fill(
        _CHART,
        id=f"health-{sensor.partition(':')[2]}-{field}",
        label=described.label or field,
        attributes=attributes(
            data_sensor=sensor,
            data_health=field,
            data_label=described.label or field,
            data_unit=described.unit,
            data_decimals=described.decimals,
        ),
    )
