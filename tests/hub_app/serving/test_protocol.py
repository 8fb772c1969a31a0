"""Floods of connections and slow requests: the page and `/health` answer everyone else."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bus.limited_log import LimitedLog
from hub_app.serving.client_limit import MAX_STREAMS_PER_ADDRESS, ClientLimit
from hub_app.serving.places import MAX_PER_ADDRESS, Places
from hub_app.serving.protocol import BoundedProtocol
from tests.http_client import http_client
from tests.hub_app.conftest import HubProcess
from tests.support import HOST, WAIT_S

IDLER, WATCHER, THIRD, SLOW = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ENDED = (ConnectionError, BrokenPipeError)


@contextlib.contextmanager
def connections(hub: HubProcess, address: str, count: int) -> Iterator[list[socket.socket]]:
    """Open connections from one address of this machine."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                socket.create_connection(
                    (HOST, hub.web_port), timeout=WAIT_S, source_address=(address, 0)
                )
            )
            for _ in range(count)
        ]


def client(hub: HubProcess, address: str) -> httpx.Client:
    return http_client(hub.url, address=address)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the hub ends the connection."""
    received = b""
    with contextlib.suppress(*_ENDED):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def status_of(connection: socket.socket) -> bytes:
    with contextlib.suppress(*_ENDED):
        return connection.recv(64)[9:12]
    return b""


def test_idle_connections_and_event_streams_of_two_keep_no_third_out(hub: HubProcess) -> None:
    with (
        connections(hub, IDLER, 600),
        connections(hub, WATCHER, 100) as watching,
        client(hub, THIRD) as third,
    ):
        for watcher in watching:
            # Those beyond the bound of an address have been ended.
            with contextlib.suppress(*_ENDED):
                watcher.sendall(EVENTS)
        for path in ("/", "/health", "/api/nodes"):
            assert third.get(path).status_code == 200
        with third.stream("GET", "/events") as stream:
            assert next(stream.iter_lines()).startswith("id: ")


def test_one_address_has_a_bounded_number_of_streams(hub: HubProcess) -> None:
    with connections(hub, WATCHER, MAX_STREAMS_PER_ADDRESS + 5) as watching:
        statuses = []
        for watcher in watching:
            watcher.sendall(EVENTS)
            statuses.append(status_of(watcher))
    assert statuses == [b"200"] * MAX_STREAMS_PER_ADDRESS + [b"429"] * 5


def test_the_connection_that_waited_longest_is_ended_at_an_addresss_bound(hub: HubProcess) -> None:
    with connections(hub, IDLER, MAX_PER_ADDRESS + 1) as idle:
        assert read_all(idle[0]) == b""
        idle[-1].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(idle[-1]) == b"200"


def test_health_is_answered_while_every_connection_waits_for_a_response() -> None:
    asyncio.run(_serve_with_two_places())


async def _serve_with_two_places() -> None:
    both_busy, slow = asyncio.Barrier(3), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await both_busy.wait()
            await slow.wait()
        await Response(status_code=200)(scope, receive, send)

    places: Places[BoundedProtocol] = Places(total=2, for_health=1)
    log = LimitedLog(logging.getLogger(__name__))
    protocol = partial(BoundedProtocol, places=places, limited_log=log)
    config = uvicorn.Config(ClientLimit(app), http=protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server((HOST, 0)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx.AsyncClient(base_url=url, timeout=WAIT_S, trust_env=False) as http:
            busy = [asyncio.create_task(http.get("/slow")) for _ in range(2)]
            await both_busy.wait()
            refused = await http.get("/api/nodes")
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            assert (await http.get("/health")).status_code == 200
            slow.set()
            assert [(await answer).status_code for answer in busy] == [200, 200]
            assert (await http.get("/api/nodes")).status_code == 200
        server.should_exit = True
        await serving


def test_requests_that_never_become_whole_end_their_connections(hub: HubProcess) -> None:
    post = b"POST /login HTTP/1.1\r\nHost: localhost\r\n"
    sent = [
        b"",
        b"GET / HTTP/1.1\r\nHost: localho",
        post + b"Content-Length: 99\r\n\r\n{",
        post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ]
    with connections(hub, SLOW, len(sent)) as slow:
        for connection, part in zip(slow, sent, strict=True):
            connection.sendall(part)
        for connection in slow:
            read_all(connection)
    assert "Traceback" not in hub.service.output()


def test_a_request_that_comes_byte_by_byte_ends_its_connection(hub: HubProcess) -> None:
    with connections(hub, SLOW, 1) as [slow]:
        slow.settimeout(0.2)
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        is_open = True
        for _ in range(int(WAIT_S / 0.2)):
            try:
                slow.sendall(b"x")
                is_open = slow.recv(64) != b""
            except TimeoutError:
                continue
            except ConnectionError:
                # The hub ended it with a byte on its way.
                is_open = False
            if not is_open:
                break
    assert not is_open


@pytest.mark.parametrize(
    "sent",
    [
        b"nothing of HTTP\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 600_000 + b"\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused_with_the_security_headers(hub: HubProcess, sent: bytes) -> None:
    with connections(hub, SLOW, 1) as [client]:
        with contextlib.suppress(*_ENDED):
            client.sendall(sent)
        answer = read_all(client)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert answer == b"" or b"content-security-policy" in answer.lower()
    assert "Traceback" not in hub.service.output()


def test_strangers_malformed_requests_are_logged_once_a_minute(hub: HubProcess) -> None:
    for _ in range(20):
        with connections(hub, SLOW, 1) as [client]:
            client.sendall(b"\x16\x03\x01\x00\xa5\r\n\r\n")
            read_all(client)
    assert hub.service.output().count("a request that is not HTTP/1.1") <= 1


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error(hub: HubProcess) -> None:
    with connections(hub, SLOW, 1) as [client]:
        client.sendall(
            b"POST /api/plugins HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        )
    assert hub.http.get("/health").status_code == 200
    assert "Traceback" not in hub.service.output()


def test_two_requests_in_one_packet_are_both_answered(hub: HubProcess) -> None:
    ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    with connections(hub, THIRD, 1) as [client]:
        client.sendall(ask + b"\r\n" + ask + b"Connection: close\r\n\r\n")
        assert read_all(client).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
    ],
)
def test_unusual_requests_are_answered_without_an_error(hub: HubProcess, sent: bytes) -> None:
    with connections(hub, THIRD, 1) as [client]:
        client.sendall(sent)
        assert status_of(client).isdigit()
    assert hub.http.get("/health").status_code == 200
    assert "Traceback" not in hub.service.output()
