"""Log lines as list items; log/lines.js makes the same of those that arrive later."""

from collections.abc import Iterable
from urllib.parse import quote

from hub_app.history.logs.log_file import LogLine
from hub_app.http.views.moments import moment
from hub_app.http.views.template import Html, attributes, fill, join

_LINE = """<li$attributes>$at <a class="node" href="$root/node/$path">$node</a> \
<span class="level">$level</span> <span class="source">$source</span> \
<span class="message">$message</span></li>
"""


def log_items(lines: Iterable[LogLine], root: str) -> Html:
    """Return an item for each line; `root` is the prefix of the page's URLs."""
    return join([_item(line, root) for line in lines])


def _item(line: LogLine, root: str) -> Html:
    return fill(
        _LINE,
        attributes=attributes(
            data_level=line.level,
            data_id=line.id or None,
            data_at=line.at_ms,
            data_taken=line.timestamp_ms,
        ),
        at=moment(line.at_ms),
        root=root,
        path=quote(line.node, safe=""),
        node=line.node,
        level=line.level,
        source=line.source,
        message=line.message,
    )
