"""URL of a broker, for configurations and credentials: mqtt://HOST or mqtts://HOST.

A cluster has several, separated by commas, which clients try in turn.
"""

import re
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from bus.config.broker_table import DEFAULT_MQTT_PORT, DEFAULT_MQTTS_PORT
from bus.errors import MisconfiguredError
from bus.peer_address import is_host

# Scheme, host, digits of a port. In mqtt://USER:PASSWORD without a host, the password is no number
# at least.
_HOLDS_NO_PASSWORD = re.compile(r"(?:[a-z]+:)?/{0,2}[A-Za-z0-9._\[\]-]*(?::\d{0,6})?/?")
_PORTS = {"mqtt": DEFAULT_MQTT_PORT, "mqtts": DEFAULT_MQTTS_PORT}


class BrokerUrl(msgspec.Struct, frozen=True):
    """Address of a broker; `tls` if the scheme is mqtts. `others` are those of the same cluster."""

    host: str
    port: int
    tls: bool
    others: tuple[tuple[str, int], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Every address, in the order in which clients try them."""
        return (self.address, *self.others)


def parse(
    text: str, key: str, *, secrets: str = "broker.credentials_file", names: str = "token"
) -> BrokerUrl:
    """Return what `text` says. The file that `secrets` names holds username and `names`.

    Several URLs are separated by commas, and all have the same scheme: one login is for all.

    Raises MisconfiguredError, which names `key`, and quotes nothing that may hold a password.
    """
    if "@" in unquote(text):
        raise MisconfiguredError(
            f"{key}: found a user or a password in the URL, expected mqtt://HOST or mqtts://HOST; "
            f"they belong into the file that {secrets} names, as username and {names}"
        )
    first, *others = (_parse_one(part.strip(), key) for part in text.split(","))
    if any(one.tls != first.tls for one in others):
        raise MisconfiguredError(
            f"{key}: found mqtt:// and mqtts:// together, expected the same for all addresses"
        )
    return BrokerUrl(first.host, first.port, first.tls, tuple(one.address for one in others))


def _parse_one(text: str, key: str) -> BrokerUrl:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _not_a_url(text, key) from None
    if host is None or not is_host(host) or port == 0 or not _is_address_alone(parts):
        raise _not_a_url(text, key)
    return BrokerUrl(host, port or _PORTS[parts.scheme], parts.scheme == "mqtts")


def _is_address_alone(parts: SplitResult) -> bool:
    beyond = (parts.path.removeprefix("/"), parts.query, parts.fragment)
    return parts.scheme in _PORTS and not any(beyond)


def _not_a_url(text: str, key: str) -> MisconfiguredError:
    found = repr(text) if _HOLDS_NO_PASSWORD.fullmatch(text) else "another text"
    return MisconfiguredError(
        f"{key}: found {found}, expected mqtt://HOST, mqtts://HOST or either with :PORT; "
        "a comma separates several"
    )


def make(host: str, port: int, *, tls: bool) -> str:
    """Return the URL of the broker at `host`, which may be an IPv6 address."""
    name = f"[{host}]" if ":" in host else host
    return f"{'mqtts' if tls else 'mqtt'}://{name}:{port}"
