"""Times in the pages: UTC as the hub writes them, in the browser's time zone once a script runs."""

import datetime as dt

from bus.contract.value_text import ABSENT
from hub_app.http.views.template import Html, fill

_TIME = '<time data-ms="$ms" datetime="$iso">$text</time>'
_END_OF_9999_MS = 253_402_300_799_999


def moment(timestamp_ms: int) -> Html:
    """Return a `<time>` element with date and time; 0 is no time."""
    if not timestamp_ms:
        return fill("$absent", absent=ABSENT)
    at = dt.datetime.fromtimestamp(min(timestamp_ms, _END_OF_9999_MS) / 1000, dt.UTC)
    return fill(
        _TIME, ms=timestamp_ms, iso=at.isoformat("T", "seconds"), text=f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )
