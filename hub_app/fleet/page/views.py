"""Views and API of the fleet as a whole: all sites, the search, the active alarms of all."""

from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bus.contract.value_text import duration
from hub_app.fleet.page import sites
from hub_app.fleet.page.fleet import Fleet
from hub_app.fleet.page.sites import Found, SiteAlarm, SiteView
from hub_app.http.responses import Json, url_of
from hub_app.http.views.moments import moment
from hub_app.http.views.shell import view_response
from hub_app.http.views.template import Html, attributes, fill, fill_file, join

_MAX_CHARS = 200

# Of a refreshed list, the script finds the link that has the focus by its id.
_SITE = """<tr$attributes><th scope="row"><a id="site-$name" href="$href">$name</a></th>
<td data-label="state">$state</td><td data-label="nodes">$nodes</td>
<td data-label="sensors">$sensors</td><td data-label="alarms">$alarms</td></tr>
"""
_FOUND = '<li><a href="$href">$title</a> <span class="quiet">$places</span></li>\n'
_ALARM = """<li class="alarm"$attributes><p class="about"><span class="severity">$severity</span>
<a id="alarm-$site-$node-$name" href="$href">$site / $node</a> $acknowledged</p>
<p class="text">$text</p>
<p class="quiet">since $since</p></li>
"""


class Sites(msgspec.Struct, frozen=True):
    """All sites by name."""

    sites: list[SiteView]


class SearchResult(msgspec.Struct, frozen=True):
    """Nodes and sensors that a search found, at most 100."""

    found: list[Found]


def fleet_of(request: Request) -> Fleet:
    fleet: Fleet = request.app.state.fleet
    return fleet


async def overview(request: Request) -> Response:
    """Answer ?search= with what it finds, and all sites."""
    text = request.query_params.get("search", "")[:_MAX_CHARS]
    views = await fleet_of(request).read(sites.sites)
    found = await fleet_of(request).read(lambda db: sites.search(db, text))
    main = fill_file(
        "fleet/fleet.html",
        root=url_of(request, ""),
        search=text,
        found=join([_found(request, each) for each in found]),
        has_nothing=attributes(hidden=bool(found or not text)),
        sites=join([_site(request, each) for each in views]),
        has_no_sites=attributes(hidden=bool(views)),
    )
    return view_response(request, "fleet", "Sites", main)


async def alarms(request: Request) -> Response:
    found = await fleet_of(request).read(sites.alarms)
    main = fill_file(
        "fleet/alarms.html",
        root=url_of(request, ""),
        count=len(found.active) + found.left_out,
        is_short=attributes(hidden=not found.left_out),
        shown=len(found.active),
        alarms=join([_alarm(request, each) for each in found.active]),
    )
    return view_response(request, "fleet", "Alarms", main)


async def api_sites(request: Request) -> Response:
    return Json(Sites(await fleet_of(request).read(sites.sites)))


async def api_search(request: Request) -> Response:
    """Answer ?q= with nodes and sensors whose names contain all of its words."""
    text = request.query_params.get("q", "")[:_MAX_CHARS]
    return Json(SearchResult(await fleet_of(request).read(lambda db: sites.search(db, text))))


async def api_alarms(request: Request) -> Response:
    return Json(await fleet_of(request).read(sites.alarms))


def site_url(request: Request, site: str, path: str = "/") -> str:
    return url_of(request, f"/site/{quote(site, safe='')}{path}")


def _site(request: Request, site: SiteView) -> Html:
    if not site.is_silent:
        state = "connected"
    elif site.silent_s < 0:
        state = "never heard"
    else:
        state = f"silent for {duration(site.silent_s)}"
    return fill(
        _SITE,
        attributes=attributes(data_silent=site.is_silent, data_alarms=site.alarms > 0),
        href=site_url(request, site.name),
        name=site.name,
        state=state,
        nodes=site.nodes,
        sensors=site.sensors,
        alarms=site.alarms or "none",
    )


def _found(request: Request, found: Found) -> Html:
    path = f"/node/{quote(found.node, safe='')}"
    if found.sensor:
        path = f"/sensor/{quote(found.node, safe='')}/{quote(found.sensor, safe='')}"
    places = (found.site, found.area, found.node, found.sensor)
    return fill(
        _FOUND,
        href=site_url(request, found.site, path),
        title=found.title or found.sensor or found.node,
        places=" / ".join(filter(None, places)),
    )


def _alarm(request: Request, alarm: SiteAlarm) -> Html:
    return fill(
        _ALARM,
        attributes=attributes(data_severity=alarm.severity),
        severity=alarm.severity,
        href=site_url(request, alarm.site, "/alarms"),
        site=alarm.site,
        node=alarm.node,
        name=alarm.name,
        acknowledged="acknowledged" if alarm.acknowledged_ms else "",
        text=alarm.text,
        since=moment(alarm.since_ms),
    )
