"""Listening sockets: IPv4, IPv6, and an address that is not to be had."""

import asyncio
import contextlib
import socket

import pytest

from bus.errors import MisconfiguredError
from bus.listen import AddressUnavailableError, accept, listen, listen_when_available


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
        text = rf"^web\.port: cannot listen on 127\.0\.0\.1:{port}: .*"
        with pytest.raises(AddressUnavailableError, match=text):
            listen("127.0.0.1", port, key="web.port")


def test_an_address_that_is_not_there_yet_is_an_error_that_names_the_key() -> None:
    text = r"^broker\.port: cannot listen on 192\.0\.2\.1:"
    with pytest.raises(AddressUnavailableError, match=text):
        listen("192.0.2.1", 0, key="broker.port")


@pytest.mark.parametrize("host", ["300.1.1.1", "no such address", "a" * 70, "1.2.3.4.5", "::g"])
def test_an_address_that_is_none_has_to_be_changed_by_a_person(host: str) -> None:
    with pytest.raises(MisconfiguredError, match=r"^web\.listen: "):
        listen(host, 0, key="web.listen")


def test_a_taken_port_is_waited_for_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def wait() -> socket.socket:
        with contextlib.closing(listen("127.0.0.1", 0, key="web.port")) as taken:
            port = taken.getsockname()[1]
            waiting = asyncio.create_task(listen_when_available("127.0.0.1", port, key="web.port"))
            # The second attempt comes after 0.25 s.
            await asyncio.wait([waiting], timeout=0.6)
            assert not waiting.done()
        return await waiting

    with contextlib.closing(asyncio.run(wait())) as listener:
        assert is_reached(listener, "127.0.0.1")
    first, last = caplog.messages
    assert "web.port: cannot listen on 127.0.0.1:" in first
    assert "works again after" in last


def test_who_stops_accepting_loses_no_connection() -> None:
    async def run() -> None:
        with contextlib.closing(listen("127.0.0.1", 0, key="web.port")) as bound:
            bound.setblocking(False)
            accepting = asyncio.create_task(accept(bound))
            await asyncio.sleep(0)
            with socket.create_connection(bound.getsockname()) as client:
                # It has become readable, and whoever waits for that has not had its turn.
                await asyncio.sleep(0)
                accepting.cancel()
                await asyncio.wait([accepting])
                sock, address = await accept(bound)
                with sock:
                    assert (sock.getpeername(), address) == (client.getsockname(), "127.0.0.1")

    asyncio.run(run())
