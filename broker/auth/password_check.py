"""Password checks of the broker and the page: limited in rate, one at a time, in a fair queue."""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from broker.auth.login_limiter import LoginLimiter
from broker.known_addresses import KnownAddresses
from broker.turns import Turns
from bus.errors import UnavailableError

# At 0.05 s each, and four times that on a Pi. After a restart of the hub, all devices behind one
# address come back at once, each with a password that has to be checked anew.
_MAX_WAITING = 320
# Places beyond these, for addresses from which the account logged in before.
_MAX_WAITING_KNOWN = 64
_MAX_WAITING_PER_ADDRESS = 256
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


class Result(msgspec.Struct, Generic[T], frozen=True):
    """Result of a check; `found` is None where the password is wrong."""

    found: T | None


def _nothing() -> None:
    return None


class PasswordCheck:
    """Runs password checks and counts the wrong ones. For one event loop.

    Addresses have their checks in turn, so that many clients of one delay no other address; those
    from which the account logged in before go first. Where the hub embeds its broker, both use one
    instance. `known`: those addresses; without it they are forgotten with the process.
    """

    def __init__(
        self, monotonic_s: Callable[[], float], known: KnownAddresses | None = None
    ) -> None:
        self._monotonic_s = monotonic_s
        self._limiter = LoginLimiter(known)
        self._turns = Turns()
        self._waiting: Counter[str] = Counter()

    async def run(
        self,
        address: str,
        account: str,
        check: Callable[[], Awaitable[T | None]],
        recall: Callable[[], Result[T] | None] = _nothing,
    ) -> T | None:
        """Return what `check` returns; None means that the password is wrong.

        `recall` returns the result of an earlier check of the same password, which takes no turn.
        Raises TooManyAttemptsError, with `check` not called.
        """
        # Whoever finds no place learns nothing of the password either.
        if self._is_full(address, account):
            raise TooManyAttemptsError(_QUEUE_WAIT_S, is_queue_full=True)
        known = recall()
        if known is not None:
            return self._recalled(address, account, known)
        self._require_try(self._limiter.wait_s(address, account, self._monotonic_s()))
        is_known = self._limiter.is_known(address, account)
        with self._place(address):
            async with self._turns.turn(address, is_preferred=is_known):
                # Another client may have shown the same password meanwhile.
                known = recall()
                if known is None:
                    # Counted before the check, which may be cancelled.
                    self._take(address, account)
                    known = Result(await check())
                    self._note(address, account, known)
                    return known.found
        return self._recalled(address, account, known)

    def count_wrong(self, address: str, account: str) -> None:
        """Count a secret that was found wrong without a password check.

        Raises TooManyAttemptsError where there were too many already.
        """
        self._take(address, account)

    def _recalled(self, address: str, account: str, known: Result[T]) -> T | None:
        """Return an earlier result. A wrong password that comes again is no further guess.

        A right one is: without tries left, it is refused like any other.
        """
        if known.found is not None:
            self._take(address, account)
            self._note(address, account, known)
        return known.found

    def _note(self, address: str, account: str, result: Result[T]) -> None:
        if result.found is not None:
            self._limiter.succeeded(address, account)

    def _take(self, address: str, account: str) -> None:
        self._require_try(self._limiter.take(address, account, self._monotonic_s()))

    def _require_try(self, wait_s: float) -> None:
        if wait_s > 0:
            raise TooManyAttemptsError(wait_s)

    @contextlib.contextmanager
    def _place(self, address: str) -> Iterator[None]:
        self._waiting[address] += 1
        try:
            yield
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
