"""Redaction of the support bundle: text without what looks like a secret.

Its files have no secret of the hub itself. This is for what a person or a plugin wrote: settings of
plugins, and log lines.
"""

import re

HIDDEN = "(hidden)"

_NAMES = r"(?:password|passwd|passphrase|secret|token|api[_-]?key)"
# `password = "..."` of TOML, `"api_key": "..."` of JSON, `token=...` of a log line or an address.
_NAMED = re.compile(
    rf"""(?ix) (["']? [\w.-]* {_NAMES} ["']? \s* [=:] \s*)
    (?: "(?:[^"\\]|\\.)+" | '[^']+' | [^\s"',;&(){{}}\[\]]+ )"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
# User and password in an address, and all of one of a notification service: its path is a secret.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*)://[^\s\"'<>]+", re.IGNORECASE)
_PLAIN_SCHEMES = frozenset({"http", "https", "mqtt", "mqtts"})


def redacted(text: str) -> str:
    """Return `text` with the values of passwords, tokens and the like hidden."""
    text = _ADDRESS.sub(_address, text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _NAMED.sub(_named, text)


def _address(found: re.Match[str]) -> str:
    address, scheme = found[0], found[1]
    if scheme.lower() not in _PLAIN_SCHEMES:
        return f"{scheme}://{HIDDEN}"
    authority, slash, path = address.partition("://")[2].partition("/")
    _, at, host = authority.rpartition("@")
    return f"{scheme}://{HIDDEN}@{host}{slash}{path}" if at else address


def _named(found: re.Match[str]) -> str:
    # Quoted where the value was, so that the file can still be read.
    value = found[0][len(found[1]) :]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found[1]}{quote}{HIDDEN}{quote}"
