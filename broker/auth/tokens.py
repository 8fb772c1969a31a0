"""Tokens: random secrets of nodes, and their hashes."""

import base64
import hashlib
import hmac
import re
import secrets

_BYTES = 32
# Tells tokens from passwords by shape alone, so that no refusal depends on the name.
_PREFIX = "hvt_"
_SHAPE = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}\Z")
_NOBODY = "0" * 64

# Mosquitto's own number (mosquitto_passwd.c, PW_DEFAULT_ITERATIONS): a random token needs no more.
_MOSQUITTO_ITERATIONS = 101
# For passwords that people choose (OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA512).
MOSQUITTO_PASSWORD_ITERATIONS = 210_000
_MOSQUITTO_SALT_BYTES = 12


def new_token() -> str:
    """Return a new token of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def is_token(text: bytes) -> bool:
    """Whether `text` has the shape of a token."""
    try:
        return _SHAPE.match(text.decode("ascii")) is not None
    except UnicodeDecodeError:
        return False


def hash_token(token: bytes) -> str:
    """Return the SHA-256 of a token in hexadecimal: 256 random bits need no slower hash."""
    return hashlib.sha256(token).hexdigest()


def verify(token: bytes, expected: str | None) -> bool:
    """Whether `token` hashes to `expected`. Takes as long where `expected` is None."""
    matches = hmac.compare_digest(hash_token(token), expected or _NOBODY)
    return matches and expected is not None


def mosquitto_hash(secret: str, iterations: int = _MOSQUITTO_ITERATIONS) -> str:
    """Return `secret` in the format of Mosquitto's password file: PBKDF2 with HMAC-SHA512."""
    salt = secrets.token_bytes(_MOSQUITTO_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, iterations)
    return f"$7${iterations}${_base64(salt)}${_base64(digest)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
