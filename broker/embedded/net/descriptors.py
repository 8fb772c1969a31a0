"""How many files and sockets this process may have open."""

import contextlib
import resource

# What the hub needs beside the broker's connections: its store, its history, browsers, plugins.
_RESERVE = 256


def room_for(connections: int) -> int:
    """Raise the process's limit as far as it may be; return how many connections fit below it."""
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
