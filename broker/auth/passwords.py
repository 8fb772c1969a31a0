"""Password hashing with Argon2id, and for NATS with bcrypt: no other module uses these."""

import base64

import argon2

# OWASP Password Storage Cheat Sheet, Argon2id. One lane: a log-in takes no more
# than one of the machine's cores.
_MEMORY_KIB = 19_456
_TIMES = 2
_LANES = 1
_SALT_BYTES = 16
_HASH_BYTES = 32

# 2^n rounds. NATS hashes at each connection; the number is the default of Go, its language. A
# token of 256 random bits needs no more than the least.
_BCRYPT_ROUNDS = 10
_BCRYPT_TOKEN_ROUNDS = 4
# What bcrypt takes of a password.
_BCRYPT_BYTES = 72

_HASHER = argon2.PasswordHasher(_TIMES, _MEMORY_KIB, _LANES, _HASH_BYTES, _SALT_BYTES)


def _zeros(length: int) -> str:
    return base64.b64encode(bytes(length)).decode().rstrip("=")


# The hash for an unknown name, so that its refusal takes as long. PHC string format; no password
# is known that hashes to zeros.
_NOBODY = (
    f"$argon2id$v=19$m={_MEMORY_KIB},t={_TIMES},p={_LANES}"
    f"${_zeros(_SALT_BYTES)}${_zeros(_HASH_BYTES)}"
)


def hash_password(password: str) -> str:
    """Return the hash (PHC string format). Takes about 0.05 s and 19 MB."""
    return _HASHER.hash(password)


def verify(password: bytes, expected: str | None) -> bool:
    """Whether `password` hashes to `expected`. Takes as long where `expected` is None.

    Takes about 0.05 s and 19 MB: never on an event loop, never many at once.
    """
    try:
        matches = _HASHER.verify(expected or _NOBODY, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
    return matches and expected is not None


def nats_hash(secret: str, *, is_token: bool) -> str:
    """Return the bcrypt hash that NATS checks; an empty text for a secret that is too long for it.

    Takes about 0.2 s for a password.
    """
    # Only a hub whose broker is NATS needs it.
    import bcrypt  # noqa: PLC0415

    encoded = secret.encode()
    if len(encoded) > _BCRYPT_BYTES:
        return ""
    rounds = _BCRYPT_TOKEN_ROUNDS if is_token else _BCRYPT_ROUNDS
    return bcrypt.hashpw(encoded, bcrypt.gensalt(rounds)).decode()
