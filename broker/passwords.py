"""Passwords of people, hashed with Argon2id. The only module that knows argon2."""

import base64

import argon2
from argon2.profiles import RFC_9106_LOW_MEMORY

_HASHER = argon2.PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def _nothing(length: int) -> str:
    return base64.b64encode(bytes(length)).decode().rstrip("=")


# Stands in for who has no password, so that a refusal takes as long for a name that nobody has.
# PHC string format: no password is known that hashes to zeros.
_NOBODY = (
    f"$argon2id$v=19$m={RFC_9106_LOW_MEMORY.memory_cost},t={RFC_9106_LOW_MEMORY.time_cost},"
    f"p={RFC_9106_LOW_MEMORY.parallelism}${_nothing(RFC_9106_LOW_MEMORY.salt_len)}"
    f"${_nothing(RFC_9106_LOW_MEMORY.hash_len)}"
)


def hashed(password: str) -> str:
    """Return the hash to keep (PHC string format). Takes some 0.2 s and 64 MB."""
    return _HASHER.hash(password)


def is_right(password: bytes, expected: str | None) -> bool:
    """Whether `password` hashes to `expected`, in the same time where there is nothing to expect.

    Takes some 0.2 s and 64 MB: never on an event loop, never many at once.
    """
    try:
        matches = _HASHER.verify(expected or _NOBODY, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return matches and expected is not None
