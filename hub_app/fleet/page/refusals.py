"""Refusals of the role fleet: a page for browsers, JSON for all others."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.fleet.errors import FleetUnavailableError
from hub_app.http.responses import refuse, url_of
from hub_app.http.views.shell import view_response
from hub_app.http.views.template import Html, fill_file

_TITLES = {404: "Not found", 503: "Not available"}


async def refuse_all(request: Request, exc: Exception) -> Response:
    """Return the response to a request that failed, also while the database does not answer."""
    if isinstance(exc, FleetUnavailableError):
        exc = HTTPException(503, f"the fleet database is unavailable: {exc}")
    if not isinstance(exc, HTTPException) or not _wants_page(request):
        return await refuse(request, exc)
    title = _TITLES.get(exc.status_code, "Refused")
    main: Html = fill_file(
        "fleet/at_hub.html", root=url_of(request, ""), title=title, text=exc.detail, link=""
    )
    response = view_response(request, "fleet", title, main)
    response.status_code = exc.status_code
    response.headers.update(exc.headers or {})
    return response


def _wants_page(request: Request) -> bool:
    is_browser = "text/html" in request.headers.get("accept", "")
    return request.method == "GET" and is_browser and "/api/" not in request.url.path
