"""Listening sockets: IPv4, IPv6, and an address that is not to be had."""

import contextlib
import socket

import pytest

from bus.errors import MisconfiguredError
from bus.listen import listen


def is_reached(listener: socket.socket, host: str) -> bool:
    with socket.create_connection((host, listener.getsockname()[1])):
        accepted, _ = listener.accept()
        accepted.close()
    return True


def test_a_socket_listens_on_one_address() -> None:
    with contextlib.closing(listen("127.0.0.1", 0, key="web.port")) as listener:
        assert is_reached(listener, "127.0.0.1")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_the_unspecified_ipv6_address_takes_ipv4_as_well() -> None:
    with contextlib.closing(listen("::", 0, key="web.port")) as listener:
        assert is_reached(listener, "127.0.0.1")
        assert is_reached(listener, "::1")


def test_a_port_that_is_taken_is_an_error_that_names_the_key() -> None:
    with contextlib.closing(listen("127.0.0.1", 0, key="web.port")) as taken:
        port = taken.getsockname()[1]
        text = rf"^web\.port: cannot listen on 127\.0\.0\.1:{port}: .*; expected a free port$"
        with pytest.raises(MisconfiguredError, match=text):
            listen("127.0.0.1", port, key="web.port")


def test_an_address_of_another_machine_is_an_error_that_names_the_key() -> None:
    with pytest.raises(MisconfiguredError, match=r"^broker\.port: cannot listen on 192\.0\.2\.1:"):
        listen("192.0.2.1", 0, key="broker.port")
