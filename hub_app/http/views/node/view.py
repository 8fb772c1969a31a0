"""`GET /node/{node}`: the view of one node. Its controls are those of which its `about` tells.

The state is readable without scripts; the page's script follows it and draws the charts.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.description import About
from bus.contract.messages import Heartbeat
from bus.contract.topics import Topic, TopicKind
from hub_app.http.api.logs import LogPage, log_page
from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.field_rows import field_rows
from hub_app.http.views.log_lines import log_items
from hub_app.http.views.moments import moment
from hub_app.http.views.node import costs, outputs, plugins, sensors, shadows
from hub_app.http.views.shell import may_command, view_response
from hub_app.http.views.template import Html, attributes, fill, fill_file, join
from hub_app.hub import Hub

PREFIX = "/node/"
LOG_LINES = 100
_NO_ABOUT = About("", "", "", "", "", "", {}, {})

_FACT = "<dt>$label</dt><dd>$value</dd>\n"
_ALARM = '<li data-severity="$severity"><a href="$root/alarms">$text</a></li>'
_LINK = '<li><a href="$href">$name</a></li>'
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'


async def node(request: Request) -> Response:
    """Return the view, or a list of the nodes that exist where this one does not."""
    hub, name = hub_of(request), request.path_params["node"]
    if name not in hub.state.nodes:
        return _unknown(request, name)
    about = hub.state.about(name) or _NO_ABOUT
    operates = may_command(request)
    root = url_of(request, "")
    page = await _log(request, name)
    main = fill_file(
        "node/node.html",
        root=root,
        node=name,
        path=quote(name, safe=""),
        title=about.title or name,
        area=about.area,
        presence=hub.state.presence(name).view.presence,
        alarms=_alarms(hub, name, root),
        facts=_facts(hub, name, about),
        buttons=_buttons(name, about) if operates else "",
        heartbeat_topic=str(Topic(name, TopicKind.HEARTBEAT)),
        heartbeat=_heartbeat(hub, name),
        charts=sensors.health_charts(hub.state, name),
        sensors=sensors.sensors(hub, name, root),
        plugins=plugins.plugins(hub.state, name, about, operates=operates),
        costs=costs.costs(hub, name, about, root, operates=operates),
        shadows=shadows.shadows(hub.state, name, operates=operates),
        outputs=outputs.outputs(hub.state, name, about, root, operates=operates),
        lines=log_items(page.logs, root),
    )
    dialogs = [fill_file("commands/dialogs.html"), fill_file("node/dialogs.html", node=name)]
    title = about.title or name
    return view_response(request, "node", title, main, join(dialogs if operates else []))


def _unknown(request: Request, name: str) -> Response:
    links = [
        fill(_LINK, href=url_of(request, PREFIX + quote(each, safe="")), name=each)
        for each in sorted(hub_of(request).state.nodes)
    ]
    main = fill_file("node/unknown.html", node=name, links=join(links))
    response = view_response(request, "", "No such node", main)
    response.status_code = HTTPStatus.NOT_FOUND
    return response


async def _log(request: Request, name: str) -> LogPage:
    try:
        return await log_page(request, LOG_LINES, name)
    except HTTPException:
        # The script says so when it asks for the lines.
        return LogPage([], None)


def _alarms(hub: Hub, name: str, root: str) -> Html:
    return join(
        [
            fill(_ALARM, severity=alarm.severity, root=root, text=alarm.text)
            for alarm in hub.alarms.active
            if alarm.node == name
        ]
    )


def _facts(hub: Hub, name: str, about: About) -> Html:
    view = hub.state.presence(name).view
    status = view.status
    facts: dict[str, Any] = {
        "Id": name,
        "Model": about.model,
        "System": about.os,
        "Processor": about.arch,
        "Address": about.address,
        "Role": status.role if status else "",
        "Program": status.version if status else "",
        "Online since": moment(status.since_ms) if status and status.state == "online" else "",
        "Last heard": moment(view.heard_ms or 0),
        "Cycle": f"{status.interval_s:g} s" if status else "",
        "Versions": ", ".join(f"{key} {value}" for key, value in about.versions.items()),
        "Refused by the hub": ", ".join(f"{n} {why}" for why, n in view.refused.items()),
    }
    now_ms = hub.now_ms()
    facts["Old readings"] = hub.history.old_readings.sentence(name, now_ms)
    if hub.duplicate_node_ids.is_duplicate(name, now_ms):
        facts["Warning"] = "two machines use this id"
    return join([fill(_FACT, label=label, value=value) for label, value in facts.items() if value])


def _heartbeat(hub: Hub, name: str) -> Html:
    beats = (entry.value for entry in hub.state.of_node(name) if entry.kind is TopicKind.HEARTBEAT)
    beat: Heartbeat | None = next(beats, None)
    data = {key: getattr(beat, key) for key in sensors.HEARTBEAT} if beat else {}
    rows = field_rows(data, sensors.HEARTBEAT)
    return rows or fill("<p>$text</p>", text="no heartbeat yet")


def _buttons(name: str, about: About) -> Html:
    named = attributes(data_name_of=name, data_title=about.title, data_area=about.area, id="name")
    buttons = [(named, "Name")] if "names" in about.actuators else []
    buttons += [
        (attributes(data_rename=name, id="rename"), "Change id"),
        (attributes(data_remove=name, id="remove"), "Remove"),
    ]
    return join([fill(_BUTTON, attributes=found, label=label) for found, label in buttons])
