"""`GET /api/nodes`: every node with its description, presence, heartbeat, plugins and actuators."""

from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.description import About
from bus.contract.messages import (
    Buzzer,
    Costs,
    Fan,
    Heartbeat,
    Leds,
    PluginState,
    Result,
    ShadowReport,
    Status,
    UpdateState,
)
from bus.contract.topics import TopicKind
from hub_app.http.responses import hub_of, json_of_many
from hub_app.hub import Hub
from hub_app.live.presence import Presence
from hub_app.live.state import State
from hub_app.live.views import OledView, RecordView

# The field of a node's object for each kind of topic. Named topics are keyed by name below theirs.
_FIELDS = {
    TopicKind.HEARTBEAT: "heartbeat",
    TopicKind.LEDS: "leds",
    TopicKind.BUZZER: "buzzer",
    TopicKind.FAN: "fan",
    TopicKind.OLED: "oled",
    TopicKind.UPDATE: "update",
    TopicKind.COSTS: "costs",
}
_NAMED_FIELDS = {
    TopicKind.PLUGIN: "plugins",
    TopicKind.RESULT: "results",
    TopicKind.RECORD: "records",
    TopicKind.SHADOW: "shadows",
}


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """A node: description, presence, heartbeat, plugins and actuators by name.

    `twins` is true where two machines use its id; `refused` counts its refused messages by reason.
    A part that the node has not told is null.
    """

    node: str
    presence: Presence
    heard_ms: int | None
    status: Status | None
    about: About | None
    heartbeat: Heartbeat | None
    leds: Leds | None
    buzzer: Buzzer | None
    fan: Fan | None
    oled: OledView | None
    update: UpdateState | None
    costs: Costs | None
    plugins: dict[str, PluginState]
    results: dict[str, Result]
    records: dict[str, RecordView]
    shadows: dict[str, ShadowReport]
    twins: bool
    refused: dict[str, int]


class Nodes(msgspec.Struct, frozen=True):
    """Every node."""

    nodes: list[NodeState]


async def nodes(request: Request) -> Response:
    hub = hub_of(request)
    return await json_of_many("nodes", _node_states(hub))


def _node_states(hub: Hub) -> Iterator[NodeState]:
    now_ms = hub.now_ms()
    for node in hub.state.nodes:
        # One may be removed meanwhile.
        if hub.state.has_node(node):
            yield NodeState(
                **node_object(hub.state, node),
                twins=hub.duplicate_node_ids.is_duplicate(node, now_ms),
                refused=hub.refusals.of(node),
            )


def node_object(state: State, node: str) -> dict[str, Any]:
    view = state.presence(node).view
    fields: dict[str, Any] = {
        "node": node,
        "presence": view.presence,
        "heard_ms": view.heard_ms,
        "status": view.status,
        "about": state.about(node),
        **dict.fromkeys(_FIELDS.values()),
        **{field: {} for field in _NAMED_FIELDS.values()},
    }
    for entry in state.of_node(node):
        if entry.kind in _FIELDS:
            fields[_FIELDS[entry.kind]] = entry.value
        elif entry.kind in _NAMED_FIELDS:
            fields[_NAMED_FIELDS[entry.kind]][entry.name] = entry.value
    return fields
