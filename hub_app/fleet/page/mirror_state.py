"""Mirror of the live state of a site's hub, from the entries that the hub forwards."""

from collections.abc import Callable
from typing import Any

import msgspec

from bus.contract.description import About, SensorDescription
from bus.contract.messages import decode
from bus.contract.topics import Topic, TopicKind, parse
from bus.errors import BadDataError
from hub_app.live.change import Change
from hub_app.live.presence import NodePresence, Presence, StatusView
from hub_app.live.state import State
from hub_app.live.views import DescriptionView, OledView, ReadingView


class _Described(msgspec.Struct, frozen=True):
    digest: str
    description: msgspec.Raw


class _MirrorPresence(NodePresence):
    """The presence of a node as its hub told it."""

    def __init__(self, view: StatusView, presence: Presence) -> None:
        super().__init__(view.heard_ms or 0)
        self.presence = presence
        self.status = view.status
        self.heard_ms = view.heard_ms
        self.refused = view.refused

    def update(self, _now_ms: int) -> bool:
        return False


class MirrorState(State):
    """The newest value of every topic of one site.

    While its hub is silent, nobody knows how its nodes are: they are shown as lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, StatusView] = {}
        self._is_silent = False

    def mirror(self, text: str, value: str | None) -> list[Change]:
        """Take the JSON of a topic's value, None where the topic is gone; return the changes."""
        try:
            topic = parse(text)
            if value is None:
                return self._forget(topic)
            return self._take(topic, _decode(topic, value))
        except (BadDataError, msgspec.DecodeError):
            # An entry of a newer hub.
            return []

    def set_silent(self, is_silent: bool) -> list[Change]:  # noqa: FBT001 - the state itself
        """Note whether the hub of the site is silent; return the changes."""
        if is_silent == self._is_silent:
            return []
        self._is_silent = is_silent
        return [self._status(node, view) for node, view in self._told.items()]

    def has_reading(self, node: str, sensor: str) -> bool:
        return str(Topic(node, TopicKind.READING, sensor)) in self._entries

    def _forget(self, topic: Topic) -> list[Change]:
        if topic.kind is TopicKind.STATUS:
            self._told.pop(topic.node, None)
            self._presences.pop(topic.node, None)
        entry = self._entries.get(str(topic))
        if entry is None:
            return []
        self._drop(entry)
        return [msgspec.structs.replace(entry, value=None)]

    def _take(self, topic: Topic, value: Any) -> list[Change]:
        before = self._entries.get(str(topic))
        if isinstance(value, StatusView):
            self._told[topic.node] = value
            return [self._status(topic.node, value)]
        if before is not None and before.value == value:
            return []
        if isinstance(value, DescriptionView) and before is not None:
            self.shape += 1
        if isinstance(value, ReadingView):
            self.last_update_ms = max(self.last_update_ms or 0, value.at_ms)
            is_known = before is not None and value.data.keys() <= before.value.data.keys()
            self.shape += 0 if is_known else 1
        return [self._keep(topic, value)]

    def _status(self, node: str, view: StatusView) -> Change:
        presence: Presence = "lost" if self._is_silent else view.presence
        self._presences[node] = _MirrorPresence(view, presence)
        shown = msgspec.structs.replace(view, presence=presence)
        return self._keep(Topic(node, TopicKind.STATUS), shown)


def _decode(topic: Topic, value: str) -> Any:
    as_view = _VIEWS.get(topic.kind)
    return as_view(value) if as_view is not None else decode(topic, value.encode())


def _described(what: type[SensorDescription | About]) -> Callable[[str], DescriptionView]:
    def view(value: str) -> DescriptionView:
        found = msgspec.json.decode(value, type=_Described)
        return DescriptionView(found.digest, msgspec.json.decode(found.description, type=what))

    return view


def _typed(what: type[Any]) -> Callable[[str], Any]:
    return msgspec.json.Decoder(what).decode


_VIEWS: dict[TopicKind, Callable[[str], Any]] = {
    TopicKind.STATUS: _typed(StatusView),
    TopicKind.READING: _typed(ReadingView),
    TopicKind.OLED: _typed(OledView),
    TopicKind.SENSOR: _described(SensorDescription),
    TopicKind.ABOUT: _described(About),
}
