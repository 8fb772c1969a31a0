"""URL of a broker, for configurations and credentials: mqtt://HOST or mqtts://HOST."""

from urllib.parse import urlsplit

import msgspec

from bus.config.broker_table import DEFAULT_MQTT_PORT, DEFAULT_MQTTS_PORT
from bus.errors import MisconfiguredError

_PORTS = {"mqtt": DEFAULT_MQTT_PORT, "mqtts": DEFAULT_MQTTS_PORT}


class BrokerUrl(msgspec.Struct, frozen=True):
    """Address of one broker; `tls` if the scheme is mqtts."""

    host: str
    port: int
    tls: bool

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


def parse(text: str, key: str) -> BrokerUrl:
    """Return what `text` says.

    Raises MisconfiguredError, which names `key`, and quotes nothing that may hold a password.
    """
    if "@" in text:
        raise MisconfiguredError(
            f"{key}: found a user or a password in the URL, expected mqtt://HOST or mqtts://HOST; "
            "they belong into the file that broker.credentials_file names, as username and token"
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _PORTS or port == 0:
        raise MisconfiguredError(
            f"{key}: found {text!r}, expected mqtt://HOST, mqtts://HOST or either with :PORT"
        )
    return BrokerUrl(host, port or _PORTS[parts.scheme], parts.scheme == "mqtts")


def make(host: str, port: int, *, tls: bool) -> str:
    """Return the URL of the broker at `host`, which may be an IPv6 address."""
    name = f"[{host}]" if ":" in host else host
    return f"{'mqtts' if tls else 'mqtt'}://{name}:{port}"
