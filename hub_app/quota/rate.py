"""Quota of messages of one node in a minute. Pure: it is told the time."""

_MINUTE_MS = 60_000


class RateQuota:
    """Admits at most `most` messages of each node in a minute of the clock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._minute = 0
        self._counts: dict[str, int] = {}

    def admits(self, node: str, now_ms: int) -> bool:
        """Count a message; return whether it is within the quota."""
        minute = now_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(node, 0)
        if count >= self._most:
            return False
        self._counts[node] = count + 1
        return True
