"""Limit of open files: raising it for network connections."""

import contextlib
import resource

# For the process beside its connections: store, history, plugins.
_RESERVE = 256


def room_for(connections: int) -> int:
    """Raise the limit as far as allowed; return the number of connections that fit below it."""
    soft = _raise_to(connections + _RESERVE)
    return max(1, min(connections, soft - _RESERVE))


def raise_by(connections: int) -> None:
    """Raise the limit by a number of connections, as far as allowed."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        _raise_to(soft + connections)


def _raise_to(wanted: int) -> int:
    """Raise the limit where it is below `wanted`; return it, or `wanted` where there is none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        # A container may forbid it.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft
