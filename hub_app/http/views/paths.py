"""Paths of the views of the page, and the one that somebody goes to after the log-in. Pure."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

_VIEWS = frozenset({"/", "/alarms", "/log", "/system"})
_PREFIXES = ("/sensor/", "/node/", "/site/")
# Of a path that a browser resolves to itself: no dot segment, no empty one, no backslash.
_PATH = re.compile(r"/|(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~%:-]+)+")
# Printable ASCII without what RFC 3986 forbids.
_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*")
# Encoded dots and slashes, which some software decodes before it resolves a path.
_ENCODED = re.compile(r"%(?:2e|2f|5c)", re.IGNORECASE)
_MOST_CHARS = 1000


def is_view(path: str) -> bool:
    """Whether a browser asks for a page, not for a part of one."""
    return path in _VIEWS or path.startswith(_PREFIXES)


def log_in_query(path: str, query: str) -> str:
    """Return the query of the log-in page that leads back to a view; empty for the overview."""
    wanted = quote(path, safe="/:") + (f"?{query}" if query else "")
    return "" if next_path({"next": wanted}) == "/" else f"?{urlencode({'next': wanted})}"


def next_path(parameters: Mapping[str, str]) -> str:
    """Return the path and query of `next`, "/" where it is none of our views.

    A list of what is allowed: nothing that it names can be of another site.
    """
    wanted = parameters.get("next", "")
    path, _, query = wanted.partition("?")
    is_plain = _PATH.fullmatch(path) and _QUERY.fullmatch(query) and not _ENCODED.search(path)
    return wanted if len(wanted) <= _MOST_CHARS and is_plain and is_view(path) else "/"
