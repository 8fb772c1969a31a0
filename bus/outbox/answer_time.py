"""Answer time: how long the hub takes to store a reading, and so when to send it again. Pure."""

from collections import deque
from collections.abc import Sequence

from bus.contract.messages import Range

# Readings that were sent and not stored yet, of which the time is remembered.
_MAX_SENT = 1000
# The slowest of so many answers counts.
_ANSWERS = 8
_SPARE = 1.5
# Times the least wait.
_MOST = 5


class AnswerTime:
    """Wait for answers to new readings: at least `least_s`, longer while the hub is slower.

    A hub that is behind gets no second copy of all that it has still to store: that would double
    its work when it can do it least. Readings of the present connection count alone, since its end
    may have taken others.
    """

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._sent_s: dict[int, float] = {}
        self._took_s: deque[float] = deque(maxlen=_ANSWERS)

    @property
    def wait_s(self) -> float:
        slowest_s = max(self._took_s, default=0.0)
        return max(self._least_s, min(_SPARE * slowest_s, _MOST * self._least_s))

    def sent(self, seq: int, now_s: float) -> None:
        """Note a reading that was sent for the first time."""
        if len(self._sent_s) >= _MAX_SENT:
            del self._sent_s[next(iter(self._sent_s))]
        self._sent_s[seq] = now_s

    def stored(self, ranges: Sequence[Range], now_s: float) -> None:
        """Note an answer."""
        found = [n for n in self._sent_s if any(first <= n <= last for first, last in ranges)]
        if found:
            self._took_s.append(now_s - min(self._sent_s[seq] for seq in found))
        for seq in found:
            del self._sent_s[seq]

    def restart(self) -> None:
        """Forget what was sent: the connection has ended."""
        self._sent_s.clear()
        self._took_s.clear()
