"""Listening TCP sockets."""

import socket

from bus.errors import MisconfiguredError

_BACKLOG = 128


def listen(host: str, port: int, *, key: str, backlog: int = _BACKLOG) -> socket.socket:
    """Return a socket that listens; `::` takes IPv4 as well.

    Raises MisconfiguredError, which names `key`, the setting to change.
    """
    is_ipv6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=backlog,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as e:
        raise MisconfiguredError(
            f"{key}: cannot listen on {host}:{port}: {e.strerror or e}; expected a free port"
        ) from e
