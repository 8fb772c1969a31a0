"""Where passwords are checked: off the event loop, one at a time, and slower after each mistake."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

from broker.auth import passwords

# At 0.05 s each, and four times that on a Pi, the last one still is answered before its CONNECT
# times out.
_MOST_WAITING = 16
_MOST_WAITING_OF_ADDRESS = 4

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 60.0
_FORGOTTEN_S = 600.0
_MOST_ADDRESSES = 1024


class Backoff:
    """How long an address has to wait after wrong passwords: 0.5, 1, 2 ... 60 s."""

    def __init__(self) -> None:
        # Failures in a row and when the last one was, by address, the oldest first.
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def is_closed(self, address: str, now_s: float) -> bool:
        count, last_s = self._failures.get(address, (0, now_s))
        if now_s - last_s > _FORGOTTEN_S:
            del self._failures[address]
            return False
        return count > 0 and now_s < last_s + self._delay_s(count)

    def failed(self, address: str, now_s: float) -> None:
        count, _ = self._failures.pop(address, (0, now_s))
        self._failures[address] = (count + 1, now_s)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._failures.pop(address, None)

    @staticmethod
    def _delay_s(count: int) -> float:
        # Bounded before it is raised to a power: 2 ** 5000 is no float.
        return min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(count - 1, 10))


class PasswordDesk:
    """Checks passwords in the order of arrival; whoever finds the queue full is refused."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._backoff = Backoff()
        self._one_at_a_time = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    async def is_right(self, address: str, password: bytes, expected: str | None) -> bool:
        """Whether the password is right; False, too, where `address` must not ask now."""
        if self._backoff.is_closed(address, self._clock()) or self._is_full(address):
            return False
        self._waiting[address] += 1
        try:
            async with self._one_at_a_time:
                right = await asyncio.to_thread(passwords.is_right, password, expected)
        finally:
            self._leave(address)
        if right:
            self._backoff.succeeded(address)
        else:
            self._backoff.failed(address, self._clock())
        return right

    def _is_full(self, address: str) -> bool:
        return (
            self._waiting.total() >= _MOST_WAITING
            or self._waiting[address] >= _MOST_WAITING_OF_ADDRESS
        )

    def _leave(self, address: str) -> None:
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]
