"""Costs of a node's plugins, and their newest records for download."""

from urllib.parse import quote

from bus.contract.description import About
from bus.contract.messages import Costs, PluginCost
from bus.contract.topics import Topic, TopicKind
from bus.contract.value_text import ABSENT
from hub_app.http.views.moments import moment
from hub_app.http.views.template import Html, attributes, fill, join
from hub_app.hub import Hub
from hub_app.live.views import RecordView
from hub_app.nodes.records import routes

_ROW = """<tr><th scope="row">$name</th><td data-label="polls">$polls</td>
<td data-label="failed">$failures</td><td data-label="median time">$p50</td>
<td data-label="99 % below">$p99</td><td data-label="memory">$memory</td>
<td data-label="calls a poll">$calls</td><td data-label="record">$record</td></tr>
"""
_BUTTON = '<button type="button" class="small"$attributes>Record</button>'
_NONE = PluginCost(0, 0, 0, 0, 0)


def costs(hub: Hub, node: str, about: About, root: str, *, operates: bool) -> Html:
    """Return a row for each plugin with a cost or a record."""
    told: Costs | None = hub.state.value(Topic(node, TopicKind.COSTS))
    of_plugins = told.plugins if told is not None else {}
    records = hub.records.of_node(node)
    records_by_command = operates and "record" in about.actuators.get("plugins", [])
    return join(
        [
            _row(
                name,
                of_plugins.get(name, _NONE),
                fill(
                    "$link$button",
                    link=_link(root, node, name, records.get(name)),
                    button=_button(node, name) if records_by_command else "",
                ),
            )
            for name in sorted({*of_plugins, *records})
        ]
    )


def _row(name: str, cost: PluginCost, record: Html) -> Html:
    return fill(
        _ROW,
        name=name,
        polls=cost.polls,
        failures=cost.failures,
        p50=f"{cost.p50_ms:.3g} ms" if cost.polls else ABSENT,
        p99=f"{cost.p99_ms:.3g} ms" if cost.polls else ABSENT,
        memory=f"{cost.memory_mb:.1f} MB" if cost.memory_mb is not None else ABSENT,
        calls=f"{cost.host_calls / cost.polls:.1f}" if cost.polls else ABSENT,
        record=record,
    )


def _link(root: str, node: str, plugin: str, record: RecordView | None) -> Html:
    if record is None:
        return Html("")
    path = routes.path_of(quote(node, safe=""), quote(plugin, safe=""))
    return fill(
        '<a href="$href" download title="$title">$at</a> ',
        href=root + path,
        title=record.fault or record.reason,
        at=moment(record.made_ms),
    )


def _button(node: str, plugin: str) -> Html:
    return fill(
        _BUTTON,
        attributes=attributes(
            data_node=node,
            data_commands=plugin,
            data_action="record",
            id=f"record-{plugin}",
            aria_label=f"Record {plugin} of {node}",
        ),
    )
