"""Bound of a table's rows: what is notable comes first where a fleet has thousands. Pure."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hub_app.http.views.template import Html, fill

T = TypeVar("T")

# More than anybody reads, and some 0.2 MB of a page.
MOST_ROWS = 500

_LEFT_OUT = '<p class="quiet">$count more, of which there is nothing to tell, are left out</p>\n'


def bounded(rows: Sequence[T], is_notable: Callable[[T], bool]) -> tuple[Sequence[T], Html]:
    """Return the rows to show, and a sentence on those that are left out."""
    if len(rows) <= MOST_ROWS:
        return rows, Html("")
    ordered = sorted(rows, key=lambda row: not is_notable(row))
    return ordered[:MOST_ROWS], fill(_LEFT_OUT, count=len(rows) - MOST_ROWS)
