"""ICMP echo to one host: round-trip time, without shell or subprocess.

Linux lets a process send echo requests either through datagram sockets, where its group lies in the
range of sysctl net.ipv4.ping_group_range, or through raw sockets, where it has CAP_NET_RAW.
"""

import threading
import time

# mypy: allow-untyped-calls
# icmplib says that it is typed, and its functions are not.
from icmplib.exceptions import ICMPLibError, ICMPSocketError, TimeoutExceeded
from icmplib.models import ICMPRequest
from icmplib.sockets import ICMPv4Socket, ICMPv6Socket
from icmplib.utils import resolve, unique_identifier

from bus.errors import MisconfiguredError, UnavailableError

# How soon a stop is noticed while an answer is awaited.
_SLICE_S = 0.5


class NoAnswerError(UnavailableError):
    """The host did not answer in time, cannot be reached or cannot be found."""


class PingNotAllowedError(MisconfiguredError):
    """This process may open no ICMP socket of either kind."""


def needs_privilege() -> bool:
    """Return whether pings have to go through a raw socket.

    Raises PingNotAllowedError where that is not allowed either.
    """
    for privileged in (False, True):
        try:
            ICMPv4Socket(privileged=privileged).close()
        except ICMPSocketError:
            continue
        return privileged
    raise PingNotAllowedError(
        "pings are off: found neither unprivileged nor raw ICMP sockets allowed, expected "
        "sysctl net.ipv4.ping_group_range to hold this process's group or CAP_NET_RAW"
    )


def round_trip_ms(
    host: str, timeout_s: float, stopping: threading.Event, *, privileged: bool
) -> float:
    """Send one echo request to `host`; return the milliseconds until its answer.

    Raises NoAnswerError.
    """
    try:
        address = resolve(host)[0]
        kind = ICMPv6Socket if ":" in address else ICMPv4Socket
        with kind(privileged=privileged) as link:
            return _echo_ms(link, address, timeout_s, stopping)
    # A name that cannot be encoded for DNS ends in a UnicodeError.
    except (ICMPLibError, UnicodeError) as e:
        raise NoAnswerError(f"{host}: {e}") from e


def _echo_ms(
    link: ICMPv4Socket | ICMPv6Socket,
    address: str,
    timeout_s: float,
    stopping: threading.Event,
) -> float:
    request = ICMPRequest(address, unique_identifier(), sequence=0)
    # Not the library's own times: those are the wall clock's, which may be set meanwhile.
    sent_s = time.monotonic()
    link.send(request)
    while (left_s := sent_s + timeout_s - time.monotonic()) > 0 and not stopping.is_set():
        try:
            reply = link.receive(request, min(left_s, _SLICE_S))
        except TimeoutExceeded:
            continue
        answered_s = time.monotonic()
        reply.raise_for_status()
        return (answered_s - sent_s) * 1000
    raise NoAnswerError(f"{address}: no answer within {timeout_s:g} s")
