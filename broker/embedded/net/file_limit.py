"""Limit of open files: raising it for the broker's connections."""

import contextlib
import resource

# For the hub beside the broker's connections: store, history, browsers, plugins.
_RESERVE = 256


def room_for(connections: int) -> int:
    """Raise the limit as far as allowed; return the number of connections that fit below it."""
    wanted = connections + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # A container may forbid it.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - _RESERVE))
