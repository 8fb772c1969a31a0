"""Due times of many keys: finding those that are due costs no look at the others. Pure."""

import heapq

# Entries of the heap that may be out of date, beside as many as there are keys.
_SPARE = 1_000


class DueTimes:
    """The time at which each key is due next, in any unit."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        # With entries that were replaced since, which are dropped when they come up.
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: str, due: float) -> None:
        """Let a key be due at a time, whatever it was before."""
        if self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            if len(self._heap) > 2 * len(self._due) + _SPARE:
                self._drop_replaced()

    def bring_forward(self, key: str, due: float) -> None:
        """Let a key be due at a time, unless it is due sooner."""
        known = self._due.get(key)
        if known is None or due < known:
            self.set(key, due)

    def is_due(self, now: int) -> bool:
        """Whether a key may be due; one that was forgotten counts until it is taken."""
        return bool(self._heap) and self._heap[0][0] <= now

    def forget(self, key: str) -> None:
        """Let a key never be due."""
        self._due.pop(key, None)

    def take(self, now: int, most: int | None = None) -> list[str]:
        """Return the keys that are due, the earliest first, and forget their times.

        They are at most so many.
        """
        taken: list[str] = []
        while self._heap and self._heap[0][0] <= now and len(taken) != most:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                taken.append(key)
        return taken

    def _drop_replaced(self) -> None:
        self._heap = [(due, key) for key, due in self._due.items()]
        heapq.heapify(self._heap)
