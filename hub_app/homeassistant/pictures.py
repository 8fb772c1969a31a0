"""Pictures of displays for Home Assistant, which wants them as base64 of a PNG.

A picture changes in each cycle; of one node it is published every ten seconds at most.
"""

import base64

from bus.contract.messages import Oled
from hub_app.http.api.oled import encode_png

_INTERVAL_S = 10.0
_SCALE = 4


class Pictures:
    """Nodes whose picture has changed, and when each may be published again. Pure."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._published_s: dict[str, float] = {}

    def change(self, node: str) -> None:
        self._changed[node] = None

    def take(self, now_s: float) -> list[str]:
        """Return the nodes whose picture is to be published now."""
        due = [node for node in self._changed if now_s >= self._published_s.get(node, 0.0)]
        for node in due:
            del self._changed[node]
            self._published_s[node] = now_s + _INTERVAL_S
        return due


def payload(oled: Oled) -> bytes:
    return base64.b64encode(encode_png(oled.width, oled.frame, _SCALE))
