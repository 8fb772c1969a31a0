"""`GET /sensor/{node}/{sensor}`: the view of one sensor, its newest values and charts over time.

The values are readable without scripts; the page's script draws the charts.
"""

import asyncio
import sqlite3
from http import HTTPStatus
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from bus.contract.description import SensorDescription
from bus.contract.topics import Topic, TopicKind, global_sensor_id
from bus.contract.value_text import duration
from bus.errors import UnavailableError
from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.field_rows import field_rows
from hub_app.http.views.shell import may_command, view_response
from hub_app.http.views.template import Html, attributes, fill, fill_file, join, join_many
from hub_app.hub import Hub
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView

PREFIX = "/sensor/"

_OPTION = '<option value="$sensor">$name</option>'
_LINK = '<li><a href="$href">$name</a></li>'
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'
_ALARM_HINT = " A click, a tap or Enter offers an alarm at that value."
_UNNAMED = SensorDescription("", "", "", 2.0, {})


async def sensor(request: Request) -> Response:
    """Return the view, or a list of the sensors that exist where this one does not."""
    hub = hub_of(request)
    node, name = request.path_params["node"], request.path_params["sensor"]
    known = await _known_sensors(hub)
    if (node, name) not in known:
        return await _unknown(request, node, name, known)
    described = hub.state.description(node, name) or _UNNAMED
    operates = may_command(request)
    title = described.title or name
    main = fill_file(
        "sensor/sensor.html",
        root=url_of(request, ""),
        node=node,
        node_path=quote(node, safe=""),
        sensor=name,
        sensor_id=global_sensor_id(node, name),
        title=title,
        area=described.area,
        rows=_rows(hub.state, node, name, described),
        reading_attributes=_reading_attributes(hub, node, name),
        age=_age(hub, node, name),
        presence=_presence(hub.state, node),
        digest=_digest(hub.state, node, name),
        options=await _options(hub.state, known, (node, name)),
        operates=attributes(data_operates=operates),
        buttons=_buttons(hub.state, node, name, described) if operates else "",
        alarm_hint=_ALARM_HINT if operates else "",
    )
    dialogs = fill_file("commands/dialogs.html") if operates else Html("")
    return view_response(request, "sensor", title, main, dialogs)


def sensor_path(node: str, name: str) -> str:
    """Return the URL path of the view of a sensor."""
    return f"{PREFIX}{quote(node, safe='')}/{quote(name, safe='')}"


async def _known_sensors(hub: Hub) -> list[tuple[str, str]]:
    """Return (node, sensor) of all that are live or in the history, in order."""

    def read(live: list[Change]) -> list[tuple[str, str]]:
        try:
            with hub.open_history() as history:
                stored = history.sensors()
        except (sqlite3.Error, UnavailableError):
            stored = set()
        names = {(node, name) for node, _, name in (each.partition(":") for each in stored)}
        return sorted(names.union((entry.node, entry.name) for entry in live))

    return await asyncio.to_thread(read, hub.state.of_kind(TopicKind.READING))


async def _unknown(
    request: Request, node: str, name: str, known: list[tuple[str, str]]
) -> Response:
    state = hub_of(request).state
    links = (
        fill(_LINK, href=url_of(request, sensor_path(*each)), name=_named(state, *each))
        for each in known
    )
    main = fill_file(
        "sensor/unknown.html", sensor_id=f"{node}:{name}", links=await join_many(links)
    )
    response = view_response(request, "", "No such sensor", main)
    response.status_code = HTTPStatus.NOT_FOUND
    return response


async def _options(state: State, known: list[tuple[str, str]], own: tuple[str, str]) -> Html:
    """Return the other sensors, with which this one may be compared."""
    return await join_many(
        fill(_OPTION, sensor=global_sensor_id(*each), name=_named(state, *each))
        for each in known
        if each != own
    )


def _buttons(state: State, node: str, name: str, described: SensorDescription) -> Html:
    about = state.about(node)
    buttons = []
    if about is not None and "names" in about.actuators:
        names = attributes(
            data_name_of=node,
            data_sensor=name,
            data_title=described.title,
            data_area=described.area,
        )
        buttons.append((names, "Name"))
    if described.plugin:
        topic = str(Topic(node, TopicKind.PLUGIN, described.plugin))
        # The script shows it once the plugin has told its settings.
        buttons.append((attributes(hidden=True, data_settings_of=topic), "Settings"))
    remove = attributes(data_remove=global_sensor_id(node, name), id="remove")
    buttons.append((remove, "Remove"))
    return join([fill(_BUTTON, attributes=found, label=label) for found, label in buttons])


def _named(state: State, node: str, name: str) -> str:
    described = state.description(node, name)
    sensor_id = global_sensor_id(node, name)
    return f"{described.title} ({sensor_id})" if described and described.title else sensor_id


def _reading(state: State, node: str, name: str) -> ReadingView | None:
    topic = str(Topic(node, TopicKind.READING, name))
    found = (entry.value for entry in state.of_node(node) if entry.topic == topic)
    reading: ReadingView | None = next(found, None)
    return reading


def _rows(state: State, node: str, name: str, described: SensorDescription) -> Html:
    reading = _reading(state, node, name)
    return field_rows(reading.data if reading else {}, described.fields)


def _reading_attributes(hub: Hub, node: str, name: str) -> Html:
    reading = _reading(hub.state, node, name)
    return attributes(
        data_topic=str(Topic(node, TopicKind.READING, name)),
        data_presence_of=node,
        data_presence=_presence(hub.state, node),
        data_at=reading.at_ms if reading else None,
        data_stale_after=reading.stale_after_ms if reading else None,
        data_stale=reading is not None and hub.now_ms() - reading.at_ms > reading.stale_after_ms,
    )


def _age(hub: Hub, node: str, name: str) -> str:
    reading = _reading(hub.state, node, name)
    if reading is None:
        return "no reading since the hub started"
    return f"{duration(max(0, hub.now_ms() - reading.at_ms) / 1000)} ago"


def _presence(state: State, node: str) -> str:
    return state.presence(node).view.presence if node in state.nodes else "unknown"


def _digest(state: State, node: str, name: str) -> str:
    topic = str(Topic(node, TopicKind.SENSOR, name))
    return next((entry.value.digest for entry in state.of_node(node) if entry.topic == topic), "")
