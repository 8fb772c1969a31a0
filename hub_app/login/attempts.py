"""How often an address may try a password. Pure: the clock is handed in."""

import ipaddress
from collections import OrderedDict

# A person mistypes a few times; after that one try in so many seconds is 8,640 a day.
BURST = 5
SECONDS_PER_TRY = 10.0
# The address that tried longest ago is forgotten first.
MAX_ADDRESSES = 10_000
# One subscriber of an IPv6 network has at least this much to himself (RFC 6177).
_IPV6_PREFIX = 64


class Attempts:
    """A bucket of tries for every address, which fills up again with time."""

    def __init__(self) -> None:
        # When the bucket of an address is full again.
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str, now_s: float) -> float:
        """Take one try. Return 0, or how many seconds to wait where none is left."""
        key = _key(address)
        full_at_s = max(self._full_at_s.get(key, now_s), now_s) + SECONDS_PER_TRY
        wait_s = full_at_s - now_s - BURST * SECONDS_PER_TRY
        if wait_s > 0:
            return wait_s
        self._full_at_s[key] = full_at_s
        self._full_at_s.move_to_end(key)
        if len(self._full_at_s) > MAX_ADDRESSES:
            self._full_at_s.popitem(last=False)
        return 0.0

    def forgive(self, address: str) -> None:
        """Fill the bucket of an address whose password was right."""
        self._full_at_s.pop(_key(address), None)


def _key(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))
