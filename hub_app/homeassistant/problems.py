"""Problems of nodes: sensors that measure nothing or the impossible, and active alarms. Pure."""

from collections.abc import Iterable

import msgspec

from bus.contract.messages import Alarm
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms.conditions import fault_of
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView

SILENT = "no new readings"
_ENCODER = msgspec.json.Encoder()


class Problems:
    """Faults of sensors and active alarms of each node, by what `state` holds."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._readings: dict[tuple[str, str], ReadingView] = {}
        self._faults: dict[str, dict[str, str]] = {}
        self._alarms: dict[str, dict[str, Alarm]] = {}
        self._changed: dict[str, None] = {}

    def on_changes(self, changes: Iterable[Change], now_ms: int) -> None:
        """Take readings, alarms, and nodes that are new or gone."""
        for change in changes:
            if change.kind is TopicKind.READING:
                self._on_reading(change, now_ms)
            elif change.kind is TopicKind.ALARM:
                self._on_alarm(change)
            elif change.kind is TopicKind.STATUS and change.value is None:
                self._faults.pop(change.node, None)
                self._alarms.pop(change.node, None)
                self._changed[change.node] = None
            elif change.kind is TopicKind.STATUS and change.node not in self._faults:
                self._faults[change.node] = {}
                self._changed[change.node] = None

    def sweep(self, now_ms: int) -> None:
        """Find the sensors that have fallen silent, of nodes that have not."""
        for (node, sensor), view in self._readings.items():
            if now_ms > view.at_ms + view.stale_after_ms and self._is_expected(node, sensor):
                self._set_fault(node, sensor, SILENT)

    def take(self) -> list[str]:
        """Return the nodes whose problems have changed since the last call."""
        changed, self._changed = list(self._changed), {}
        return changed

    def payload(self, node: str) -> bytes:
        """Return the problems of a node, as its entities read them."""
        return _ENCODER.encode(
            {
                "faults": {
                    sensor: {"reason": reason}
                    for sensor, reason in self._faults.get(node, {}).items()
                },
                "alarms": self._alarms.get(node, {}),
            }
        )

    def _on_reading(self, change: Change, now_ms: int) -> None:
        key = change.node, change.name
        if change.value is None:
            self._readings.pop(key, None)
            self._set_fault(*key, "")
            return
        view: ReadingView = change.value
        self._readings[key] = view
        described = self._state.description(*key)
        is_fresh = now_ms <= view.at_ms + view.stale_after_ms
        if is_fresh and described is not None:
            self._set_fault(*key, fault_of(view.data, described.fields))

    def _on_alarm(self, change: Change) -> None:
        alarms = self._alarms.setdefault(change.node, {})
        if change.value is None:
            alarms.pop(change.name, None)
        else:
            alarms[change.name] = change.value
        self._changed[change.node] = None

    def _is_expected(self, node: str, sensor: str) -> bool:
        """Whether a sensor should have readings: its node is there, its plugin not disabled."""
        if node not in self._state.nodes or self._state.presence(node).presence != "online":
            return False
        described = self._state.description(node, sensor)
        if described is None or not described.plugin:
            return described is not None
        plugin = self._state.value(Topic(node, TopicKind.PLUGIN, described.plugin))
        return plugin is None or plugin.state != "disabled"

    def _set_fault(self, node: str, sensor: str, reason: str) -> None:
        if self._faults.get(node, {}).get(sensor, "") == reason:
            return
        faults = self._faults.setdefault(node, {})
        if reason:
            faults[sensor] = reason
        else:
            del faults[sensor]
        self._changed[node] = None
