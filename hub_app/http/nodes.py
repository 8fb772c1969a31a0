"""`GET /api/nodes`: every node with its description, presence, heartbeat, plugins and actuators."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bus.contract.topics import TopicKind
from hub_app.http.responses import Json, hub_of
from hub_app.live.state import State

# The field of a node's object for each kind of topic. Named topics are keyed by name below theirs.
_FIELDS = {
    TopicKind.HEARTBEAT: "heartbeat",
    TopicKind.LEDS: "leds",
    TopicKind.BUZZER: "buzzer",
    TopicKind.FAN: "fan",
    TopicKind.OLED: "oled",
}
_NAMED_FIELDS = {TopicKind.PLUGIN: "plugins", TopicKind.RESULT: "results"}


async def nodes(request: Request) -> Response:
    """Return every node; `twins` is true where two machines use its id.

    `refused` counts its messages that exceeded a bound or a quota, by reason.
    """
    hub = hub_of(request)
    now_ms = hub.now_ms()
    return Json(
        {
            "nodes": [
                node_object(hub.state, node)
                | {
                    "twins": hub.duplicate_node_ids.is_duplicate(node, now_ms),
                    "refused": hub.refusals.of(node),
                }
                for node in hub.state.nodes
            ]
        }
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
