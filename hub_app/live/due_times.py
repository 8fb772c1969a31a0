"""Due times of many keys: finding those that are due costs no look at the others. Pure."""

import heapq

# Entries of the heap that may be out of date, beside as many as there are keys.
_SPARE = 1_000


class DueTimes:
    """The time at which each key is due next, in milliseconds."""

    def __init__(self) -> None:
        self._due_ms: dict[str, int] = {}
        # With entries that were replaced since, which are dropped when they come up.
        self._heap: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._due_ms)

    def set(self, key: str, due_ms: int) -> None:
        """Let a key be due at a time, whatever it was before."""
        if self._due_ms.get(key) != due_ms:
            self._due_ms[key] = due_ms
            heapq.heappush(self._heap, (due_ms, key))
            if len(self._heap) > 2 * len(self._due_ms) + _SPARE:
                self._drop_replaced()

    def bring_forward(self, key: str, due_ms: int) -> None:
        """Let a key be due at a time, unless it is due sooner."""
        known_ms = self._due_ms.get(key)
        if known_ms is None or due_ms < known_ms:
            self.set(key, due_ms)

    def is_due(self, now_ms: int) -> bool:
        """Whether a key may be due; one that was forgotten counts until it is taken."""
        return bool(self._heap) and self._heap[0][0] <= now_ms

    def forget(self, key: str) -> None:
        """Let a key never be due."""
        self._due_ms.pop(key, None)

    def take(self, now_ms: int, most: int | None = None) -> list[str]:
        """Return the keys that are due, at most so many, and forget their times."""
        taken: list[str] = []
        while self._heap and self._heap[0][0] <= now_ms and len(taken) != most:
            due_ms, key = heapq.heappop(self._heap)
            if self._due_ms.get(key) == due_ms:
                del self._due_ms[key]
                taken.append(key)
        return taken

    def _drop_replaced(self) -> None:
        self._heap = [(due_ms, key) for key, due_ms in self._due_ms.items()]
        heapq.heapify(self._heap)
