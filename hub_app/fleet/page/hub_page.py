"""Views of a site that lead to the page of its hub, for what only the hub has."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hub_app.fleet.page.site_page import MirrorHub
from hub_app.http.responses import url_of
from hub_app.http.views import log as hub_log
from hub_app.http.views.shell import view_response
from hub_app.http.views.template import Html, fill, fill_file

_LINK = '<p><a href="$href">$label</a></p>'
_UNKNOWN = fill(
    "<p>$text</p>",
    text="The address of its page is not known here: fleet.page in the hub's configuration is not "
    "set.",
)


async def log(request: Request) -> Response:
    """Answer that log lines stay at the hub, with the address of them."""
    return _answer(request, "Log", "Log lines are kept by the hub of this site.", hub_log.PATH)


async def hub(request: Request) -> Response:
    """Redirect to the page of the hub, or say that its address is not known."""
    page_url = _hub(request).page_url
    if page_url:
        return RedirectResponse(f"{page_url}/")
    text = "Commands, rules, acknowledgements and log lines are for the page of the site's hub."
    return _answer(request, "Hub", text, "/")


def _answer(request: Request, title: str, text: str, path: str) -> Response:
    page_url, query = _hub(request).page_url, request.url.query
    href = f"{page_url}{path}{'?' if query else ''}{query}"
    link = fill(_LINK, href=href, label=f"{title} at the hub") if page_url else _UNKNOWN
    main: Html = fill_file(
        "fleet/at_hub.html", root=url_of(request, ""), title=title, text=text, link=link
    )
    return view_response(request, "fleet", title, main)


def _hub(request: Request) -> MirrorHub:
    found: MirrorHub = request.app.state.hub
    return found
