"""Event filters: the changes that one view of the page shows; a browser gets no others. Pure.

`/events?view=sensor&node=pi4&sensor=dht22-gpio4` names a view of the table `VIEWS`, and what it is
of. Without `view`, a browser gets everything. Every view gets what its header counts: alarms, and
the presence of nodes and the states of plugins, which change seldom.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, get_args

from bus.contract.messages import LogLevel
from bus.contract.topics import TopicKind
from bus.errors import BadDataError
from hub_app.live import attention
from hub_app.live.change import Change

EventFilter = Callable[[Change], bool]

_OF_OVERVIEW = frozenset(
    {
        *(TopicKind.STATUS, TopicKind.HEARTBEAT, TopicKind.ABOUT, TopicKind.PLUGIN),
        *(TopicKind.READING, TopicKind.SENSOR),
    }
)
_OF_PANELS = _OF_OVERVIEW | {
    *(TopicKind.LEDS, TopicKind.OLED, TopicKind.BUZZER, TopicKind.FAN, TopicKind.RESULT),
    TopicKind.LOG,
}
# Of the node of a sensor: its presence, its names, its alarms, and the settings of its plugins.
_OF_NODE = frozenset({TopicKind.STATUS, TopicKind.ABOUT, TopicKind.ALARM, TopicKind.PLUGIN})
# Views whose snapshot has log lines; the others get them from `/api/logs`.
VIEWS_WITH_LOG_LINES = frozenset({"", "overview"})
_LEVELS = get_args(LogLevel)
_OF_SENSOR = frozenset({TopicKind.READING, TopicKind.SENSOR})


class UnknownViewError(BadDataError):
    """A view that does not exist, or a parameter of it that is missing."""


class ViewFilters(NamedTuple):
    """Filters of one view, which leave out of its snapshot what is in order elsewhere."""

    snapshot: EventFilter
    updates: EventFilter


def filters_of(parameters: Mapping[str, str]) -> ViewFilters:
    """Return the filters of the view that `parameters` name, the same for the same ones.

    Raises UnknownViewError.
    """
    return _filters_of(tuple(sorted(parameters.items())))


@lru_cache(256)
def _filters_of(items: tuple[tuple[str, str], ...]) -> ViewFilters:
    parameters = dict(items)
    shows = _view_of(parameters)
    return ViewFilters(
        snapshot=lambda change: shows(change) or attention.needs_attention(change),
        updates=lambda change: shows(change) or change.kind in attention.KINDS,
    )


def _view_of(parameters: Mapping[str, str]) -> EventFilter:
    view = parameters.get("view", "")
    if view not in VIEWS:
        expected = ", ".join(filter(None, VIEWS))
        raise UnknownViewError(f"view: found {view[:20]!r}, expected one of {expected}")
    return VIEWS[view](parameters)


def everything(_change: Change) -> bool:
    return True


def _describes(change: Change) -> bool:
    return change.kind in (TopicKind.ABOUT, TopicKind.SENSOR)


def _overview(parameters: Mapping[str, str]) -> EventFilter:
    """Return the filter of the overview; with `panels`, it has outputs and logs of the nodes."""
    kinds = _OF_PANELS if "panels" in parameters else _OF_OVERVIEW
    return lambda change: change.kind in kinds


def _sensor(parameters: Mapping[str, str]) -> EventFilter:
    """Return the filter of one sensor, and of another one to `compare`, as `node:sensor`."""
    node, sensor = _required(parameters, "node"), _required(parameters, "sensor")
    other, _, other_sensor = parameters.get("compare", "").partition(":")
    sensors = {(node, sensor), (other, other_sensor)}

    def shows(change: Change) -> bool:
        if change.kind in _OF_SENSOR:
            return (change.node, change.name) in sensors
        return change.kind in _OF_NODE and change.node == node

    return shows


def _node(parameters: Mapping[str, str]) -> EventFilter:
    """Return the filter of everything that one node says."""
    node = _required(parameters, "node")
    return lambda change: change.node == node


def _log(parameters: Mapping[str, str]) -> EventFilter:
    """Return the filter of log lines: by `node`, least `level`, parts of `source` and `text`."""
    node, level = parameters.get("node", ""), parameters.get("level", "") or _LEVELS[0]
    if level not in _LEVELS:
        raise UnknownViewError(f"level: found {level[:20]!r}, expected one of {', '.join(_LEVELS)}")
    levels = _LEVELS[_LEVELS.index(level) :]
    source, text = (parameters.get(name, "").casefold() for name in ("source", "text"))

    def shows(change: Change) -> bool:
        if change.kind is not TopicKind.LOG or node not in ("", change.node):
            return False
        line = change.value
        has_texts = source in line.source.casefold() and text in line.message.casefold()
        return line.level in levels and has_texts

    return shows


def _required(parameters: Mapping[str, str], name: str) -> str:
    found = parameters.get(name, "")
    if not found:
        raise UnknownViewError(f"{name}: found nothing, expected one")
    return found


VIEWS: dict[str, Callable[[Mapping[str, str]], EventFilter]] = {
    "": lambda _parameters: everything,
    "overview": _overview,
    "sensor": _sensor,
    # The descriptions have the titles.
    "alarms": lambda _parameters: _describes,
    "log": _log,
    "node": _node,
    # Polled: its figures are not on the bus.
    "system": lambda _parameters: lambda _change: False,
}
