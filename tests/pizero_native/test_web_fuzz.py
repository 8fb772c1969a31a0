"""Whatever anyone sends to a Pi Zero over HTTP, it answers or hangs up, and goes on."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.config.web_table import WebConfig
from pizero_native.recent_log import RecentLog
from pizero_native.web import Web
from tests.support import HOST, WAIT_S, free_port, wait_until_listening
from tests.thoroughness import examples

parts = st.binary(max_size=60).map(lambda data: bytes(b for b in data if b > 32))
requests = st.builds(
    lambda method, path, query, headers: (
        b"%s %s?%s HTTP/1.1\r\n%s\r\n"
        % (method, path, query, b"".join(line + b"\r\n" for line in headers))
    ),
    st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS"]) | parts,
    st.sampled_from([b"/health", b"/api/logs", b"/", b"//", b"http://[", b"*"]) | parts,
    st.builds(bytes.__add__, st.sampled_from([b"", b"limit=", b"limit=1&limit="]), parts),
    st.lists(st.binary(max_size=60), max_size=3),
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    with RecentLog() as logs, Web(WebConfig(listen=HOST, port=port), dict, logs):
        wait_until_listening(port)
        yield port


def answer(port: int, request: bytes) -> bytes:
    # What is sent beyond the limits is not read, so closing may reset the link.
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection((HOST, port), WAIT_S) as link,
    ):
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        return link.recv(65536)
    return b""


@given(requests | st.binary(max_size=400))
@settings(max_examples=examples(120), deadline=None)
def test_no_request_is_answered_with_a_fault_of_the_node(port: int, request: bytes) -> None:
    found = answer(port, request)
    assert b" 500 " not in found[:20]
    # Where something was asked, something is answered.
    if request.startswith(b"GET /health?"):
        assert found.startswith((b"HTTP/1.0 200 ", b"HTTP/1.0 400 "))
