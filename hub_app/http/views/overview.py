"""`GET /`: the page as the dashboard plugin renders it."""

import html

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub_app.http.responses import PAGE_DIR, hub_of, url_of
from hub_app.live.dashboard import PageUnavailableError


async def overview(request: Request) -> Response:
    # Without log-in, the page needs no log-out button either.
    role = request.state.visitor.role if request.app.state.log_in is not None else None
    try:
        return HTMLResponse(await hub_of(request).page(role, url_of(request, "")))
    except PageUnavailableError as e:
        text = (PAGE_DIR / "frame" / "unrendered.html").read_text(encoding="utf-8")
        text = text.replace("{root}", url_of(request, ""))
        return HTMLResponse(text.replace("{fault}", html.escape(str(e))), 503)
