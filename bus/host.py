"""Host names and IP addresses as people write them in a configuration."""

import ipaddress
import re

# RFC 1123 section 2.1; the last label is not numeric, as that of a mistyped address is.
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*(?!\d+\.?\Z)[A-Za-z0-9_-]{1,63}\.?")


def is_host(text: str) -> bool:
    """Whether `text` is an IP address, or a name that a lookup may turn into one."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(text))
    return True


def share_an_address(one: str, other: str) -> bool:
    """Whether sockets that listen on `one` and on `other` cannot have the same port."""
    return one == other or "::" in (one, other) or "0.0.0.0" in (one, other)  # noqa: S104 - compared
