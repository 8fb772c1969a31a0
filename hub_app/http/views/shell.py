"""Shell of the views: the document around a view's `<main>`, with the header and its links."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from broker.auth.gate import Role
from bus.install.version import VERSION
from hub_app.http.responses import hub_of, url_of
from hub_app.http.views.template import Html, attributes, fill, fill_file, join
from hub_app.live.attention import open_count

# Path and label of each link in the header.
LINKS = (("/", "Overview"), ("/alarms", "Alarms"), ("/log", "Log"), ("/system", "System"))

# Style and script of each view.
_FILES = {
    "fleet": ("fleet/fleet.css", "fleet/fleet.js"),
    "alarms": ("alarms/alarms.css", "alarms/alarms.js"),
    "log": ("log/log.css", "log/log.js"),
    # With the charts of the sensor view.
    "node": ("sensor/sensor.css", "node/node.css", "node/node.js"),
    "sensor": ("sensor/sensor.css", "sensor/sensor.js"),
    "system": ("sensor/sensor.css", "system/system.css", "system/system.js"),
}
_WITHOUT_STREAM = frozenset({"fleet"})
_STYLE = '<link rel="stylesheet" href="$root/static/$file">\n'
_SCRIPT = '<script src="$root/static/$file" type="module"></script>\n'

_LINK = '<a href="$href"$attributes>$label</a>'
_LOG_OUT = '<form method="post" action="$root/logout"><button>Log out</button></form>'
_NOTHING = Html("")


def view_response(
    request: Request, view: str, title: str, main: Html, dialogs: Html = _NOTHING
) -> Response:
    """Return the page of `view`; one without a script where `view` is none of those that exist."""
    root = url_of(request, "")
    path = request.url.path.removeprefix(root)
    links = [
        fill(
            _LINK,
            href=root + href,
            label=label,
            attributes=attributes(aria_current="page" if path == href else None),
        )
        for href, label in request.app.state.links
    ]
    count = open_count(hub_of(request).state.needing_attention)
    page = fill_file(
        "frame/shell.html",
        root=root,
        files=join(
            [
                fill(_SCRIPT if file.endswith(".js") else _STYLE, root=root, file=file)
                for file in _FILES.get(view, ())
            ]
        ),
        has_no_stream=attributes(hidden=view not in _FILES or view in _WITHOUT_STREAM),
        title=title,
        prefix=f"({count}) " if count else "",
        attention=f"{count} {'needs' if count == 1 else 'need'} attention",
        has_no_attention=attributes(hidden=not count),
        links=join(links),
        main=main,
        dialogs=dialogs,
        log_out=fill(_LOG_OUT, root=root) if request.app.state.log_in is not None else "",
        version=VERSION,
    )
    return HTMLResponse(page)


def may_command(request: Request) -> bool:
    role: Role = request.state.visitor.role
    return role is Role.OPERATOR
