"""What the hub answers as JSON, built from its state. No HTTP here."""

from collections.abc import Callable
from typing import Any

import msgspec

from broker.embedded.statistics import BrokerSnapshot
from bus.contract.topics import TopicKind
from hub_app.live.state import Change, State

# How an entry of each kind stands in a node's object; the named ones are keyed by name.
_FIELDS = {
    TopicKind.HEARTBEAT: "heartbeat",
    TopicKind.LEDS: "leds",
    TopicKind.BUZZER: "buzzer",
    TopicKind.FAN: "fan",
    TopicKind.OLED: "oled",
}
_NAMED_FIELDS = {TopicKind.PLUGIN: "plugins", TopicKind.RESULT: "results"}


def readings(state: State) -> dict[str, Any]:
    return {
        "readings": [
            {
                "sensor_id": entry.value.sensor_id,
                "timestamp_ms": entry.value.timestamp_ms,
                "data": entry.value.data,
            }
            for entry in state.of_kind(TopicKind.READING)
        ],
        "last_update": state.last_update_ms,
    }


def nodes(state: State, is_twin: Callable[[str], bool]) -> dict[str, Any]:
    """Return every node; `twins`: two machines use its id."""
    return {"nodes": [node(state, name) | {"twins": is_twin(name)} for name in state.nodes]}


def node(state: State, name: str) -> dict[str, Any]:
    view = state.watch(name).view
    made: dict[str, Any] = {
        "node": name,
        "presence": view.presence,
        "heard_ms": view.heard_ms,
        "status": view.status,
        **dict.fromkeys(_FIELDS.values()),
        **{field: {} for field in _NAMED_FIELDS.values()},
    }
    for entry in state.of_node(name):
        if entry.kind in _FIELDS:
            made[_FIELDS[entry.kind]] = entry.value
        elif entry.kind in _NAMED_FIELDS:
            made[_NAMED_FIELDS[entry.kind]][entry.name] = entry.value
    return made


def logs(lines: list[Change]) -> dict[str, Any]:
    return {
        "logs": [
            {
                "node": line.node,
                "timestamp_ms": line.value.timestamp_ms,
                "level": line.value.level,
                "source": line.value.source,
                "message": line.value.message,
            }
            for line in lines
        ]
    }


def broker(
    snapshot: BrokerSnapshot | None, address: tuple[str, int], *, connected: bool
) -> dict[str, Any]:
    """Return limits and counters of the hub's own broker, or which other one it uses."""
    host, port = address
    told = {
        "embedded": snapshot is not None,
        "connected": connected,
        "host": host,
        "port": port,
    }
    return told | msgspec.structs.asdict(snapshot) if snapshot is not None else told


def default_buzzer_node(state: State) -> str | None:
    """Return the node whose buzzer sounds where none is named: the first that has one."""
    return next((entry.node for entry in state.of_kind(TopicKind.BUZZER)), None)
