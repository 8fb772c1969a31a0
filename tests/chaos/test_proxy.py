import errno
import socket
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy, Way
from tests.support import HOST, WAIT_S, free_port

SHORT_S = 0.2


@pytest.fixture
def ends() -> Iterator[tuple[Proxy, socket.socket, socket.socket]]:
    """A proxy, and the two ends of a connection through it."""
    with (
        socket.create_server((HOST, 0)) as server,
        Proxy(free_port(), server.getsockname()[1]) as proxy,
        socket.create_connection((HOST, proxy.port), WAIT_S) as near,
    ):
        far, _ = server.accept()
        far.settimeout(WAIT_S)
        near.sendall(b"hello")
        assert far.recv(9) == b"hello"
        with far:
            yield proxy, near, far


Ends = tuple[Proxy, socket.socket, socket.socket]


def test_it_carries_both_ways(ends: Ends) -> None:
    _, near, far = ends
    near.sendall(b"up")
    assert far.recv(9) == b"up"
    far.sendall(b"down")
    assert near.recv(9) == b"down"


def test_a_cut_resets_both_ends_and_refuses_until_it_is_healed(ends: Ends) -> None:
    proxy, near, far = ends
    proxy.cut()
    for end in (near, far):
        with pytest.raises(ConnectionResetError):
            end.recv(9)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, proxy.port), WAIT_S)
    proxy.heal()
    socket.create_connection((HOST, proxy.port), WAIT_S).close()


def test_a_stall_of_one_way_leaves_the_other(ends: Ends) -> None:
    proxy, near, far = ends
    proxy.stall(Way.DOWN)
    far.sendall(b"later")
    near.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        near.recv(9)
    near.sendall(b"up")
    assert far.recv(9) == b"up"
    proxy.heal()
    near.settimeout(WAIT_S)
    assert near.recv(9) == b"later"


def test_dropped_packets_are_told_to_nobody(ends: Ends) -> None:
    proxy, near, far = ends
    proxy.drop()
    # tcp(7): gives up what is not acknowledged within so many milliseconds.
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)
    near.sendall(b"lost")
    far.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        far.recv(9)
    with pytest.raises(TimeoutError) as given_up:
        near.recv(9)
    assert given_up.value.errno == errno.ETIMEDOUT
    with pytest.raises(TimeoutError):
        socket.create_connection((HOST, proxy.port), SHORT_S)
    proxy.heal()
    socket.create_connection((HOST, proxy.port), WAIT_S).close()


def test_what_was_stalled_when_it_is_cut_is_gone(ends: Ends) -> None:
    proxy, near, far = ends
    proxy.stall(Way.BOTH)
    near.sendall(b"lost")
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        far.recv(9)


def test_an_end_that_closes_closes_the_other(ends: Ends) -> None:
    _, near, far = ends
    near.sendall(b"bye")
    near.shutdown(socket.SHUT_WR)
    assert far.recv(9) == b"bye"
    assert far.recv(9) == b""
