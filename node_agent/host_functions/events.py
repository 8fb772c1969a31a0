"""Events of one plugin instance, checked and bounded before they go to the bus."""

import threading
from collections import deque
from collections.abc import Callable

import msgspec

from bus.client.node_log import plugin_logger
from bus.clock import now_ms
from bus.contract.messages import Event, Value, check_data
from bus.contract.topics import is_name
from bus.errors import BadDataError, MisconfiguredError
from bus.limited_log import LimitedLog
from node_agent.plugins import grants

MAX_PER_POLL = 10
MAX_DATA_BYTES = 4096
_LOGGED_PER_MINUTE = 60
# Events under ids that an earlier plugin may still claim.
_MAX_WAITING = 64
_SHOWN_CHARS = 80

# Returns why the plugin may not use a sensor id, "" where it may; None while that is not decided.
Claim = Callable[[str], str | None]
# Takes the sensor id and what happened there.
Publish = Callable[[str, Event], object]


class PluginEvents:
    """Events that the plugin publishes while its instance is live. Any thread may call."""

    def __init__(
        self,
        plugin: str,
        *,
        is_granted: bool,
        claim: Claim,
        publish: Publish,
        is_live: bool = True,
    ) -> None:
        self._plugin = plugin
        self._is_granted = is_granted
        self._claim = claim
        self._publish = publish
        self._is_live = is_live
        self._is_over = False
        self._lock = threading.Lock()
        self._in_this_poll = 0
        self._waiting: deque[tuple[str, Event]] = deque(maxlen=_MAX_WAITING)
        self._log = LimitedLog(plugin_logger(plugin), _LOGGED_PER_MINUTE)

    def publish(self, sensor_id: str, name: str, data: str) -> None:
        """Publish an event. Raises BadDataError and MisconfiguredError, with what was wrong."""
        if not self._is_granted:
            raise MisconfiguredError(grants.refusal(self._plugin, "events = true"))
        event = Event(_checked_name("name", name), _checked_data(data), now_ms())
        _checked_name("sensor_id", sensor_id)
        with self._lock:
            self._in_this_poll += 1
            if self._in_this_poll > MAX_PER_POLL:
                raise BadDataError(f"events.publish: expected at most {MAX_PER_POLL} events a poll")
            if self._is_live:
                self._admit(sensor_id, event)

    def begin_poll(self) -> None:
        with self._lock:
            self._in_this_poll = 0
            if self._is_live:
                self._try_waiting()

    def go_live(self) -> None:
        with self._lock:
            self._is_live = not self._is_over

    def retire(self) -> None:
        with self._lock:
            self._is_live, self._is_over = False, True

    def _admit(self, sensor_id: str, event: Event) -> None:
        refused = self._claim(sensor_id)
        if refused is None:
            self._waiting.append((sensor_id, event))
        elif refused:
            raise BadDataError(refused)
        else:
            self._send(sensor_id, event)

    def _try_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque(maxlen=_MAX_WAITING)
        for sensor_id, event in waiting:
            try:
                self._admit(sensor_id, event)
            except BadDataError as e:
                self._log.warning("refused", "%s", e)

    def _send(self, sensor_id: str, event: Event) -> None:
        self._publish(sensor_id, event)
        data = msgspec.json.encode(event.data).decode() if event.data else ""
        self._log.info("event", "%s", f"event {sensor_id}: {event.name} {data}".rstrip())


def _checked_name(parameter: str, text: str) -> str:
    if not is_name(text):
        raise BadDataError(
            f"events.publish: {parameter}: found {text[:_SHOWN_CHARS]!r}, expected up to 64 of "
            "a-z, 0-9 and dashes"
        )
    return text


def _checked_data(text: str) -> dict[str, Value]:
    place = "events.publish: data"
    if len(text.encode()) > MAX_DATA_BYTES:
        raise BadDataError(f"{place}: expected at most {MAX_DATA_BYTES} bytes")
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise BadDataError(
            f"{place}: found {text[:_SHOWN_CHARS]!r}, expected a JSON object, {{}} for none"
        )
    try:
        check_data(data)
    except BadDataError as e:
        raise BadDataError(f"{place}: {e}") from e
    return data
