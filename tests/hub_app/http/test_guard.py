"""Security headers, and refusal of requests by other sites."""

import socket

import pytest
from starlette.datastructures import Headers

from hub_app.http.guard import Guard, is_own_page, own_names
from tests.hub_app.conftest import HubProcess
from tests.support import HOST, WAIT_S


async def nothing(*_: object) -> None:
    raise AssertionError


GUARD = Guard(nothing, ["harvester.example", *own_names("RevPi.lan")])


@pytest.mark.parametrize(
    "host",
    [
        *("192.168.7.10", "192.168.7.10:3000", "[::1]:3000", "[fe80::1]", "localhost:3000"),
        *("LOCALHOST", "revpi", "revpi.local:3000", "revpi.lan", "revpi.local."),
        *("harvester.example", "harvester.example:8443"),
    ],
)
def test_an_address_and_a_name_of_ours_are_served(host: str) -> None:
    assert GUARD.is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            "evil.example",
            "evil.example:3000",
            "192.168.7.10.evil.example",
            "revpi.evil.example",
        ),
        *("evil@127.0.0.1", "127.0.0.1/x", "[::1", "::1", "localhost:", "localhost:123456", "a b"),
        *("harvester.example.evil.example", "0x7f000001", "[evil.example]", "127.0.0.1 evil"),
    ],
)
def test_a_name_that_someone_made_lead_here_is_refused(host: str) -> None:
    assert not GUARD.is_own_host(host)


@pytest.mark.parametrize(
    ("origin", "host", "is_ours"),
    [
        ("http://10.0.0.1:3000", "10.0.0.1:3000", True),
        ("http://10.0.0.1", "10.0.0.1:80", True),
        ("https://hub.example:443", "hub.example", True),
        ("https://hub.example", "hub.example:80", False),
        ("http://[::1]", "[::1]:80", True),
        ("http://10.0.0.1", "10.0.0.1:3000", False),
        ("http://10.0.0.1:3001", "10.0.0.1:3000", False),
        ("null", "10.0.0.1:3000", False),
        ("", "10.0.0.1:3000", False),
        ("http://[::1", "[::1", False),
    ],
)
def test_an_origin_is_ours_where_it_is_what_was_asked(
    origin: str, host: str, is_ours: bool
) -> None:
    assert is_own_page(Headers({"origin": origin, "host": host})) is is_ours


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": "http://evil.example/page"},
        {"Sec-Fetch-Site": "none", "Origin": "http://evil.example"},
    ],
)
def test_another_sites_page_cannot_sound_the_buzzer(
    hub: HubProcess, headers: dict[str, str]
) -> None:
    assert hub.http.post("/api/buzzer/test", headers=headers).status_code == 403


def test_a_refused_name_is_told_where_names_are_set(hub: HubProcess) -> None:
    answer = hub.http.get("/", headers={"Host": "harvester.example:8443"})
    assert answer.status_code == 421
    assert "[web] names" in answer.json()["error"]


def test_a_refused_origin_is_told_what_a_reverse_proxy_must_pass(hub: HubProcess) -> None:
    headers = {"Origin": "http://127.0.0.1:8443", "Host": "127.0.0.1"}
    answer = hub.http.post("/api/buzzer/test", headers=headers)
    assert answer.status_code == 403
    assert "pass the browser's Host with its port" in answer.json()["error"]


@pytest.mark.parametrize("host", [b"", b"Host: evil.example\r\n", b"Host: a b\r\n"])
def test_health_is_answered_under_any_name_and_none_without_counters(
    hub: HubProcess, host: bytes
) -> None:
    with socket.create_connection((HOST, hub.web_port), timeout=WAIT_S) as client:
        client.sendall(b"GET /health HTTP/1.0\r\n" + host + b"\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"nodes"' not in answer


def test_our_own_page_may_ask(hub: HubProcess) -> None:
    headers = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
    answer = hub.http.post("/api/buzzer?action=siren", headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["/", "/health", "/static/overview/overview.js", "/nowhere", "/api/logs?limit=x"]
)
def test_every_answer_forbids_inline_and_foreign_content(hub: HubProcess, path: str) -> None:
    headers = hub.http.get(path).headers
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers
