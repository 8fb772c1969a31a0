"""Results of password checks of this run, so that the same password is not hashed twice.

Only keyed hashes are kept, in memory alone; the key is random and ends with the process.
"""

import hashlib
import secrets
from collections import OrderedDict

# Of right passwords and of wrong ones: these do not replace right ones.
_MAX_RIGHT = 4_096
_MAX_WRONG = 1_024


class PasswordResults:
    """Results by account and password, bounded: the one that was used longest ago is forgotten.

    `expected` is the account's Argon2 hash, None without an account: a new password of an account,
    or the removal of it, makes its results void.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def get(self, name: str, password: bytes, expected: str | None) -> bool | None:
        """Whether the password was right; None: it was not checked, or that is forgotten."""
        digest = self._digest(name, password, expected)
        for results, is_right in ((self._right, True), (self._wrong, False)):
            if digest in results:
                results.move_to_end(digest)
                return is_right
        return None

    def put(self, name: str, password: bytes, expected: str | None, *, is_right: bool) -> None:
        results, most = (self._right, _MAX_RIGHT) if is_right else (self._wrong, _MAX_WRONG)
        results[self._digest(name, password, expected)] = None
        if len(results) > most:
            results.popitem(last=False)

    def _digest(self, name: str, password: bytes, expected: str | None) -> bytes:
        digest = hashlib.blake2b(key=self._key)
        for part in (name.encode(errors="surrogatepass"), (expected or "").encode(), password):
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.digest()
