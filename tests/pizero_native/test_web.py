import contextlib
import logging
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from bus.config.web_table import WebConfig
from bus.errors import MisconfiguredError
from pizero_native import web
from pizero_native.recent_log import RecentLog
from pizero_native.web import Web
from tests.http_client import get, http_client
from tests.support import HOST, WAIT_S, free_port, wait_until, wait_until_listening


@pytest.fixture(scope="module")
def logs() -> Iterator[RecentLog]:
    with RecentLog() as kept:
        yield kept


@pytest.fixture(scope="module")
def client(logs: RecentLog) -> Iterator[httpx.Client]:
    port = free_port()
    with (
        pytest.MonkeyPatch.context() as patch,
        Web(WebConfig(listen=HOST, port=port), lambda: {"status": "ok"}, logs),
        http_client(f"http://{HOST}:{port}", retries=5) as made,
    ):
        # The thread of a request may starve before it reads.
        patch.setattr(web, "_REQUEST_S", WAIT_S)
        assert made.get("/health").json() == {"status": "ok"}
        yield made


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((HOST, client.base_url.port or 0), WAIT_S)


def answer(client: httpx.Client, request: bytes) -> bytes:
    with connect(client) as link:
        link.sendall(request)
        return link.makefile("rb").read()


def test_logs_come_oldest_first_and_no_more_than_asked_for(client: httpx.Client) -> None:
    for number in range(3):
        logging.getLogger("test").warning("line %d", number)
    lines = client.get("/api/logs", params={"limit": 2}).json()["logs"]
    assert [line["message"] for line in lines] == ["line 1", "line 2"]
    assert len(client.get("/api/logs").json()["logs"]) >= 3


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=501", "limit=-1", "limit=1.0", "limit=99999999999999999999"),
        *("limit=x", "limit=", "limit", "limit=1&limit=2", "a=1", "limit=%D9%A1"),
    ],
)
def test_a_bad_limit_is_refused_with_a_sentence(client: httpx.Client, query: str) -> None:
    response = client.get(f"/api/logs?{query}")
    assert response.status_code == 400
    assert "expected limit=NUMBER from 1 to 500" in response.json()["error"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/api", "/health/", "/%00"])
def test_an_unknown_path_is_not_found(client: httpx.Client, path: str) -> None:
    assert b" 404 " in answer(client, f"GET {path} HTTP/1.0\r\n\r\n".encode())


def test_only_get_is_served(client: httpx.Client) -> None:
    response = client.post("/health")
    assert response.status_code == 501
    assert "POST" in response.json()["error"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /health HTTP/1.0\r\nA: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 9000, b"431"),
        (b"\xff\xfe\r\n\r\n", b"400"),
        (b"GET /health HTTP/9.9\r\n\r\n", b"505"),
        (b"\r\n", b""),
    ],
)
def test_what_is_no_request_is_refused(
    client: httpx.Client, request_bytes: bytes, status: bytes
) -> None:
    # What was sent beyond the limit is not read, so closing may reset the link.
    with contextlib.suppress(ConnectionResetError):
        assert status in answer(client, request_bytes)
    assert client.get("/health").status_code == 200


def test_a_client_that_sends_nothing_is_let_go(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_REQUEST_S", 0.1)
    with connect(client) as link:
        link.sendall(b"GET /hea")
        assert is_let_go(link)


def test_many_idle_clients_do_not_take_the_places_for_ever(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient, contextlib.ExitStack() as stack:
        impatient.setattr(web, "_REQUEST_S", 0.3)
        links = [stack.enter_context(connect(client)) for _ in range(20)]
        assert all(is_let_go(link) for link in links)
    # A link ends before its thread has given its place back.
    wait_until(lambda: is_served(client))


def is_let_go(link: socket.socket) -> bool:
    """Wait for the end of a link, which is a reset where it held what was not read."""
    try:
        return link.recv(100) == b""
    except ConnectionResetError:
        return True


def is_served(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_port_that_is_taken_is_tried_again(
    logs: RecentLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web, "_RETRY_S", 0.02)
    refused = threading.Event()
    monkeypatch.setattr(caplog.handler, "emit", lambda _record: refused.set())
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        served = Web(WebConfig(listen=HOST, port=port), dict, logs)
        served.__enter__()
        assert refused.wait(WAIT_S)
    try:
        with http_client(f"http://{HOST}:{port}", retries=5) as client:
            assert client.get("/health").json() == {}
    finally:
        served.__exit__()


def test_an_address_that_is_none_has_to_be_changed_by_a_person(logs: RecentLog) -> None:
    with (
        pytest.raises(MisconfiguredError, match=r"^web\.port: cannot listen on '300\.1\.1\.1'"),
        Web(WebConfig(listen="300.1.1.1", port=free_port()), dict, logs),
    ):
        pass


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_serves_ipv6_as_well(logs: RecentLog) -> None:
    port = free_port()
    with Web(WebConfig(listen="::", port=port), dict, logs):
        wait_until_listening(port)
        assert get(f"http://[::1]:{port}/health").status_code == 200
