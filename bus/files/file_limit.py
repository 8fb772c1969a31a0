"""Limit of open files: raising it for network connections."""

import contextlib
import resource

# For the process beside its connections: store, history, plugins.
_RESERVE = 256
# Part of a limit that cannot be raised.
_SHARE = 4


def room_for(connections: int) -> int:
    """Raise the limit as far as allowed; return the number of connections that fit below it."""
    soft = _raise_to(connections + _RESERVE)
    return max(1, min(connections, soft - _RESERVE))


def raise_by(connections: int) -> int:
    """Raise the limit by a number of connections; return how many of them fit below it.

    Where it cannot be raised, they have a share of what there is.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    raised = _raise_to(soft + connections) - soft
    return min(connections, max(raised, soft // _SHARE))


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
