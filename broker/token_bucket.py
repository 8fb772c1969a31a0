"""Token buckets, one for each key. Pure: the time is handed in."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TokenBuckets(Generic[K]):
    """Allows `burst` events of a key at once, and one more every `refill_s` seconds.

    At most `keys` buckets are remembered. Beyond that, the one that was used longest ago is
    forgotten, which is the same as full. `now_s` is monotonic.
    """

    def __init__(self, *, burst: int, refill_s: float, keys: int) -> None:
        self._burst_s = burst * refill_s
        self._refill_s = refill_s
        self._most_keys = keys
        # The time at which each bucket is full again, the one used longest ago first.
        self._full_at_s: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def wait_s(self, key: K, now_s: float) -> float:
        """Return 0 where a token is left, else the seconds until there is one."""
        return max(0.0, self._next_full_at_s(key, now_s) - now_s - self._burst_s)

    def take(self, key: K, now_s: float) -> float:
        """Take one token. Return 0, or the seconds to wait where none is left."""
        wait_s = self.wait_s(key, now_s)
        if not wait_s:
            self._full_at_s[key] = self._next_full_at_s(key, now_s)
            self._full_at_s.move_to_end(key)
            if len(self._full_at_s) > self._most_keys:
                self._full_at_s.popitem(last=False)
        return wait_s

    def give_back(self, key: K) -> None:
        """Return one token that was taken."""
        if key in self._full_at_s:
            self._full_at_s[key] -= self._refill_s

    def fill(self, key: K) -> None:
        """Fill the bucket of a key."""
        self._full_at_s.pop(key, None)

    def _next_full_at_s(self, key: K, now_s: float) -> float:
        return max(self._full_at_s.get(key, now_s), now_s) + self._refill_s
