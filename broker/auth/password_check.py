"""Password checks of the broker and the page: limited in rate, one at a time, in a short queue."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.auth.login_limiter import LoginLimiter
from bus.errors import UnavailableError

# At 0.05 s each, and four times that on a Pi, the last one is still answered before its CONNECT
# times out.
_MAX_WAITING = 16
# Places beyond these, for addresses from which the account logged in before.
_MAX_WAITING_KNOWN = 8
_MAX_WAITING_PER_ADDRESS = 4
_QUEUE_WAIT_S = 1.0

T = TypeVar("T")


class TooManyAttemptsError(UnavailableError):
    """No password is checked now; the next try may be made in `wait_s` seconds.

    `is_queue_full`: others are being checked, whatever this client has tried before.
    """

    def __init__(self, wait_s: float, *, is_queue_full: bool = False) -> None:
        super().__init__(f"too many attempts: try again in {wait_s:.0f} s")
        self.wait_s = wait_s
        self.is_queue_full = is_queue_full


class PasswordCheck:
    """Runs password checks in the order of arrival and counts the wrong ones. For one event loop.

    Where the hub embeds its broker, both use one instance.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._limiter = LoginLimiter()
        self._one_at_a_time = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    async def run(
        self, address: str, account: str, check: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """Return what `check` returns; None means that the password is wrong.

        Raises TooManyAttemptsError, with `check` not called.
        """
        if self._is_full(address, account):
            raise TooManyAttemptsError(_QUEUE_WAIT_S, is_queue_full=True)
        # Counted before the check, so that many at once are no more than one after the other.
        wait_s = self._limiter.take(address, account, self._monotonic_s())
        if wait_s > 0:
            raise TooManyAttemptsError(wait_s)
        found = await self._in_turn(address, check)
        if found is not None:
            self._limiter.succeeded(address, account)
        return found

    def count_wrong(self, address: str, account: str) -> None:
        """Count a secret that was found wrong without a password check.

        Raises TooManyAttemptsError where there were too many already.
        """
        wait_s = self._limiter.take(address, account, self._monotonic_s())
        if wait_s > 0:
            raise TooManyAttemptsError(wait_s)

    async def _in_turn(self, address: str, check: Callable[[], Awaitable[T]]) -> T:
        self._waiting[address] += 1
        try:
            async with self._one_at_a_time:
                return await check()
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def _is_full(self, address: str, account: str) -> bool:
        if self._waiting[address] >= _MAX_WAITING_PER_ADDRESS:
            return True
        is_known = self._limiter.is_known(address, account)
        places = _MAX_WAITING + (_MAX_WAITING_KNOWN if is_known else 0)
        return self._waiting.total() >= places
