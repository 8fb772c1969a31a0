"""`GET /`: the page as the dashboard plugin renders it."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.template import Html, fill_file
from hub_app.live.dashboard import PageNotReadyError, PageUnavailableError

_REFRESH = Html('<meta http-equiv="refresh" content="3">\n')


async def overview(request: Request) -> Response:
    # Without log-in, the page needs no log-out button either.
    role = request.state.visitor.role if request.app.state.log_in is not None else None
    try:
        return HTMLResponse(await hub_of(request).page(role, url_of(request, "")))
    except PageUnavailableError as e:
        is_coming = isinstance(e, PageNotReadyError)
        return HTMLResponse(
            fill_file(
                "frame/unrendered.html",
                root=url_of(request, ""),
                refresh=_REFRESH if is_coming else "",
                heading="The page comes in a moment" if is_coming else "The page cannot be drawn",
                fault=str(e),
            ),
            503,
        )
