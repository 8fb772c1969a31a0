"""Deadlines by key: the keys that are due, the earliest first. It knows no clock."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# Replaced deadlines stay in the heap until there are as many of them as of the others, and so many.
_MOST_REPLACED = 64


class Deadlines(Generic[K]):
    """One deadline for each key, in any unit."""

    def __init__(self) -> None:
        self._due: dict[K, int] = {}
        # With a number that makes each entry unique, as keys may not be comparable.
        self._heap: list[tuple[int, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, due: int) -> None:
        """Set a key's deadline, in place of its last."""
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._due) + _MOST_REPLACED:
            self._heap = [(due, number, key) for number, (key, due) in enumerate(self._due.items())]
            self._count = len(self._heap)
            heapq.heapify(self._heap)

    def remove(self, key: K) -> None:
        """Forget a key; one without a deadline is fine."""
        self._due.pop(key, None)

    def pop_due(self, now: int) -> list[K]:
        """Forget and return the keys whose deadline is not after `now`."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                found.append(key)
        return found
