"""`GET /log`: log lines of all nodes by time, with filters that stand in the address.

The lines are readable without scripts, and the filters are a form that needs none.
"""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub_app.history.logs.log_file import LEVELS
from hub_app.http.api.logs import LogPage, log_page
from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.log_lines import log_items
from hub_app.http.views.shell import view_response
from hub_app.http.views.template import Html, attributes, fill, fill_file, join, join_many

PATH = "/log"
_LINES = 200

_OPTION = "<option$attributes>$label</option>"
# Label of each least level.
_LEVEL_LABELS = {
    "debug": "all",
    "info": "info and above",
    "warning": "warning and above",
    "error": "error",
}


async def log(request: Request) -> Response:
    """Answer ?node=&level=&source=&text=&from=&to=&before=, as `/api/logs` does."""
    params = request.query_params
    page, fault, status = LogPage([], None), "", HTTPStatus.OK
    try:
        page = await log_page(request, _LINES)
    except HTTPException as e:
        fault, status = e.detail, HTTPStatus(e.status_code)
    older = {**params, "before": page.before}
    main = fill_file(
        "log/log.html",
        root=url_of(request, ""),
        path=url_of(request, PATH),
        nodes=await _node_options(request),
        levels=join(
            [_option(level, _LEVEL_LABELS[level], params.get("level")) for level in LEVELS]
        ),
        source=params.get("source", ""),
        text=params.get("text", ""),
        lines=log_items(page.logs, url_of(request, "")),
        before=attributes(data_before=page.before),
        older=f"?{urlencode(older)}",
        has_no_older=attributes(hidden=page.before is None),
        fault=fault,
    )
    response = view_response(request, "log", "Log", main)
    response.status_code = status
    return response


async def _node_options(request: Request) -> Html:
    chosen = request.query_params.get("node", "")
    nodes = sorted({*hub_of(request).state.nodes, *filter(None, (chosen,))})
    others = await join_many(_option(node, node, chosen) for node in nodes)
    return join([_option("", "all", chosen), others])


def _option(value: str, label: str, chosen: str | None) -> Html:
    return fill(_OPTION, attributes=attributes(value=value, selected=value == chosen), label=label)
