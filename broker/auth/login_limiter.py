"""Login rate limiter, by address and by account. Pure: the time is handed in.

The broker and the page share one limiter, so whoever guesses has no second set of tries.
"""

import hashlib
from collections.abc import Hashable

from broker.known_addresses import KnownAddresses
from broker.token_bucket import TokenBuckets
from bus.peer_address import network_of

# A person mistypes a few times; after that, one try every 10 s is 8,640 a day.
BURST = 5
SECONDS_PER_TRY = 10.0
# From all unknown addresses together: a family may log in at once, a botnet may not guess.
ACCOUNT_BURST = 20
# Each of the buckets' tables. Beyond that, the entry that was used longest ago is forgotten.
MAX_ENTRIES = 10_000
_DIGEST_BYTES = 16


class LoginLimiter:
    """Counts tries; the caller checks the password and reports success.

    An address from which an account logged in before is known to it: it has tries of its own,
    which no mistakes of others use up, whether they come from many addresses or from this one.
    Tries from unknown addresses count for the address and for the account.
    """

    def __init__(self, known: KnownAddresses | None = None) -> None:
        self._by_address = _buckets(BURST)
        self._by_account = _buckets(ACCOUNT_BURST)
        self._by_known = _buckets(BURST)
        self._known = known or KnownAddresses()

    def is_known(self, address: str, account: str) -> bool:
        """Whether `account` logged in from `address` before."""
        return self._known.has(_digest(account).hex(), network_of(address))

    def take(self, address: str, account: str, now_s: float) -> float:
        """Count one try. Return 0, or the seconds to wait where none is left."""
        network, digest = network_of(address), _digest(account)
        if self.is_known(address, account):
            return self._by_known.take((digest, network), now_s)
        wait_s = self.wait_s(address, account, now_s)
        if not wait_s:
            self._by_address.take(network, now_s)
            self._by_account.take(digest, now_s)
        return wait_s

    def wait_s(self, address: str, account: str, now_s: float) -> float:
        """Return what `take` would, without counting a try."""
        network, digest = network_of(address), _digest(account)
        if self.is_known(address, account):
            return self._by_known.wait_s((digest, network), now_s)
        return max(self._by_address.wait_s(network, now_s), self._by_account.wait_s(digest, now_s))

    def succeeded(self, address: str, account: str) -> None:
        """Uncount a try whose password was right, and remember the address."""
        network, digest = network_of(address), _digest(account)
        if self.is_known(address, account):
            self._by_known.fill((digest, network))
        else:
            # Not filled: whoever has one account would get new tries at the others with it.
            self._by_address.give_back(network)
            self._by_account.give_back(digest)
        self._known.add(digest.hex(), network)


def _buckets(burst: int) -> TokenBuckets[Hashable]:
    return TokenBuckets(burst=burst, refill_s=SECONDS_PER_TRY, keys=MAX_ENTRIES)


def _digest(account: str) -> bytes:
    """Return a short key: a stranger may send names of any length."""
    text = account.encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).digest()
