"""Listening TCP sockets, looking for one, and waiting for an address that cannot be had yet."""

import asyncio
import errno
import socket

from bus.client.backoff import Backoff
from bus.errors import MisconfiguredError, UnavailableError
from bus.fault import Fault
from bus.peer_address import is_host

_BACKLOG = 128
# Short at first, for a program that is just being restarted.
_FIRST_RETRY_S = 0.25
_LONGEST_RETRY_S = 5.0
# Another program ends, or the network comes up: no person has to change a file for that.
_PASSING = frozenset(
    (
        errno.EADDRINUSE,
        errno.EADDRNOTAVAIL,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENODEV,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
    )
)
_PASSING_LOOKUPS = frozenset((socket.EAI_AGAIN, socket.EAI_MEMORY))


class AddressUnavailableError(UnavailableError):
    """An address that cannot be listened on now: its port is taken, or it is not there yet."""


def is_listening(address: tuple[str, int], timeout_s: float) -> bool:
    """Whether a TCP connection to host and port can be made."""
    try:
        socket.create_connection(address, timeout=timeout_s).close()
    except OSError:
        return False
    return True


def listen(host: str, port: int, *, key: str, backlog: int = _BACKLOG) -> socket.socket:
    """Return a socket that listens; `::` takes IPv4 as well.

    Raises AddressUnavailableError where it may work later, else MisconfiguredError. Both name
    `key`, the setting.
    """
    if not is_host(host):
        raise MisconfiguredError(
            f"{key}: cannot listen on {host[:80]!r}; expected an address of this machine"
        )
    is_ipv6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            backlog=backlog,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as e:
        text = f"{key}: cannot listen on {host}:{port}: {e.strerror or e}"
        if _is_passing(e):
            raise AddressUnavailableError(text) from e
        raise MisconfiguredError(f"{text}; expected an address of this machine") from e


async def listen_when_available(
    host: str, port: int, *, key: str, backlog: int = _BACKLOG
) -> socket.socket:
    """Return a socket that listens, as soon as the address can be had; log once that it cannot.

    Raises MisconfiguredError where waiting is of no use.
    """
    fault = Fault(f"{host}:{port}")
    backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
    while True:
        try:
            made = listen(host, port, key=key, backlog=backlog)
        except AddressUnavailableError as e:
            fault.failed(f"{e}; it is tried again until it works")
            await asyncio.sleep(backoff.next_s())
        else:
            fault.worked()
            return made


async def accept(bound: socket.socket) -> tuple[socket.socket, str]:
    """Return a connection and its peer's address. Raises OSError.

    `sock_accept` of the loop would lose a connection that is cancelled while it is accepted.
    """
    while True:
        try:
            sock, peer = bound.accept()
        except (BlockingIOError, InterruptedError):
            await wait_until_readable(bound)
        else:
            sock.setblocking(False)
            return sock, str(peer[0])


async def wait_until_readable(sock: socket.socket) -> None:
    """Wait until there is a connection to accept, or the peer has sent something or closed."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(sock, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(sock)


def _is_passing(error: OSError) -> bool:
    """Whether listening may work later without anybody changing the configuration."""
    if isinstance(error, socket.gaierror):
        return error.errno in _PASSING_LOOKUPS
    return error.errno in _PASSING
