"""`GET /alarms`: active and past alarms, the rules, and a form for a rule.

The parameters of the address fill the form: `?rule=too-warm` with a rule that exists, and
`?node=pi4&sensor=air&field=temperature&above=30` with a new one, as a chart links to it.
"""

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bus.clock import DAY_MS
from bus.contract.value_text import ABSENT, duration
from hub_app.alarms import texts
from hub_app.alarms.engine import Active
from hub_app.alarms.records import Past, PastQuery
from hub_app.alarms.routes import BEFORE, past_alarms
from hub_app.http.formats.query_params import LATEST_MS
from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.moments import moment
from hub_app.http.views.rule_form import rule_form
from hub_app.http.views.rule_table import rule_rows
from hub_app.http.views.shell import may_command, view_response
from hub_app.http.views.template import Html, attributes, fill, fill_file, join, join_many
from hub_app.hub import Hub

PATH = "/alarms"
_PAST_MS = 30 * DAY_MS
_PAST_LINES = 20
# More than anybody reads.
_ACTIVE_LINES = 500
# Minutes and label of each time for which an alarm is muted.
_MUTES = ((60, "1 hour"), (480, "8 hours"), (1440, "1 day"), (10080, "1 week"))

_ALARM = """<li class="alarm"$attributes>
<p class="about"><span class="severity">$severity</span> $places $marks</p>
<p class="text">$text</p>
<p class="quiet">since $since, <span class="lasting">$lasting</span>$values, rule \
<a href="?rule=$rule#rule">$rule</a></p>
$buttons</li>
"""
_BUTTONS = """<div class="buttons">$acknowledge
<label class="for-mute">Mute for \
<select id="for-$node-$name" aria-label="Mute $name of $node for">$mutes</select></label>
<button type="button" class="small" data-act="mute" id="mute-$node-$name" \
aria-label="Mute $name of $node">Mute</button>$unmute</div>
"""
_BUTTON = '<button type="button" class="small"$attributes>$label</button>'
_MUTE = '<option value="$minutes">$label</option>'
_LINK = '<a href="$href">$label</a>'
_MARK = '<span class="mark">$text</span>'
_PAST = """<tr data-severity="$severity"><th scope="row">\
<span class="severity">$severity</span> $text <span class="quiet">$places</span></th>
<td data-label="from">$begin</td><td data-label="until">$end</td>
<td data-label="lasted">$lasted</td><td data-label="worst">$worst</td>
<td data-label="acknowledged">$acknowledged</td></tr>
"""


async def alarms(request: Request) -> Response:
    """Answer ?before= with the past alarms that began before; see this module for the others."""
    hub, root = hub_of(request), url_of(request, "")
    operates = may_command(request)
    past, fault = [], ""
    before_ms = BEFORE.number(request.query_params, LATEST_MS)
    query = PastQuery(hub.now_ms() - _PAST_MS, before_ms, _PAST_LINES + 1)
    try:
        past = await past_alarms(hub, query)
    except HTTPException as e:
        fault = e.detail
    active = _urgent_first(hub)
    shown = past[:_PAST_LINES]
    has_more = len(past) > len(shown)
    main = fill_file(
        "alarms/alarms.html",
        count=len(active),
        active=await join_many(
            _active(hub, it, root, operates=operates) for it in active[:_ACTIVE_LINES]
        ),
        more=f"and {len(active) - _ACTIVE_LINES} more, which are less urgent",
        has_no_more=attributes(hidden=len(active) <= _ACTIVE_LINES),
        past=join([_past(hub, it, root) for it in shown]),
        has_past=attributes(hidden=bool(shown or fault)),
        has_no_past=attributes(hidden=not shown),
        older=f"?before={shown[-1].begin_ms}#past" if has_more else "#past",
        has_no_older=attributes(hidden=not has_more),
        fault=fault,
        rules=rule_rows(hub.alarms.book, operates=operates),
        form=await rule_form(request) if operates else "",
    )
    return view_response(request, "alarms", "Alarms", main)


def _urgent_first(hub: Hub) -> list[Active]:
    """Return the active alarms: what nobody has acknowledged, then the most severe, the newest."""
    ranks = {"critical": 0, "warning": 1, "info": 2}
    return sorted(
        hub.alarms.active,
        key=lambda it: (it.acknowledged_ms > 0, ranks[it.severity], -it.since_ms),
    )


def _active(hub: Hub, alarm: Active, root: str, *, operates: bool) -> Html:
    muted_until_ms = hub.alarms.muted_until_ms(alarm.key)
    marks = []
    if alarm.acknowledged_ms:
        by = f" by {alarm.acknowledged_by}" if alarm.acknowledged_by else ""
        marks.append(fill(_MARK, text=f"acknowledged{by}"))
    if muted_until_ms:
        marks.append(fill(_MARK, text=fill("muted until $at", at=moment(muted_until_ms))))
    return fill(
        _ALARM,
        attributes=attributes(
            data_severity=alarm.severity,
            data_node=alarm.node,
            data_alarm=alarm.name,
            data_acknowledged=alarm.acknowledged_ms > 0,
            data_since=alarm.since_ms,
        ),
        severity=alarm.severity,
        places=_places(hub, alarm, root),
        marks=join(marks),
        text=alarm.text,
        since=moment(alarm.since_ms),
        lasting=duration(max(0, hub.now_ms() - alarm.since_ms) / 1000),
        values=_values(hub, alarm),
        rule=alarm.rule,
        buttons=_buttons(alarm, is_muted=bool(muted_until_ms)) if operates else "",
    )


def _buttons(alarm: Active, *, is_muted: bool) -> Html:
    named = f"{alarm.name} of {alarm.node}"

    def button(act: str, label: str) -> Html:
        found = attributes(
            data_act=act, id=f"{act}-{alarm.node}-{alarm.name}", aria_label=f"{label} {named}"
        )
        return fill(_BUTTON, attributes=found, label=label)

    return fill(
        _BUTTONS,
        node=alarm.node,
        name=alarm.name,
        acknowledge="" if alarm.acknowledged_ms else button("ack", "Acknowledge"),
        mutes=join([fill(_MUTE, minutes=minutes, label=label) for minutes, label in _MUTES]),
        unmute=button("unmute", "End mute") if is_muted else "",
    )


def _past(hub: Hub, alarm: Past, root: str) -> Html:
    by = f" by {alarm.acknowledged_by}" if alarm.acknowledged_by else ""
    at = moment(alarm.acknowledged_ms)
    return fill(
        _PAST,
        severity=alarm.severity,
        text=alarm.text,
        places=_places(hub, alarm, root),
        begin=moment(alarm.begin_ms),
        end=moment(alarm.end_ms),
        lasted=duration((alarm.end_ms - alarm.begin_ms) / 1000),
        worst=_number(hub, alarm, alarm.worst),
        acknowledged=fill("$at$by", at=at, by=by),
    )


def _places(hub: Hub, alarm: Active | Past, root: str) -> Html:
    """Return links to the node and the sensor of an alarm."""
    node = quote(alarm.node, safe="")
    links = [fill(_LINK, href=f"{root}/node/{node}", label=alarm.node)]
    if alarm.sensor and hub.state.has_reading(alarm.node, alarm.sensor):
        href = f"{root}/sensor/{node}/{quote(alarm.sensor, safe='')}"
        described = hub.state.description(alarm.node, alarm.sensor)
        title = described.title if described and described.title else alarm.sensor
        links.append(fill(_LINK, href=href, label=title))
    elif alarm.sensor:
        links.append(fill("$sensor", sensor=alarm.sensor))
    return join([link if not i else fill(" / $link", link=link) for i, link in enumerate(links)])


def _values(hub: Hub, alarm: Active) -> str:
    parts = (("now", alarm.value), ("worst", alarm.worst), ("limit", alarm.limit))
    return "".join(
        f", {name} {_number(hub, alarm, value)}" for name, value in parts if value is not None
    )


def _number(hub: Hub, alarm: Active | Past, value: float | None) -> str:
    if value is None:
        return ABSENT
    described = hub.state.description(alarm.node, alarm.sensor) if alarm.sensor else None
    return texts.number(value, described.fields.get(alarm.field) if described else None)
