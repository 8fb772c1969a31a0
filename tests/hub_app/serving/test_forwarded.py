"""Addresses behind reverse proxies, and the path prefix."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from hub_app.serving.forwarded import FORWARDED_HOST, PEER, PROXIED, Forwarded, TrustedProxies

PROXIES = TrustedProxies(["127.0.0.1", "::1", "10.0.0.0/24"])


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        *(("127.0.0.1", True), ("::ffff:127.0.0.1", True), ("::1", True), ("10.0.0.9", True)),
        *(("127.0.0.2", False), ("10.0.1.9", False), ("fe80::1%eth0", False), ("", False)),
    ],
)
def test_an_address_is_trusted_in_each_spelling(address: str, *, is_trusted: bool) -> None:
    assert (address in PROXIES) is is_trusted


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.168.7.4", ["10.9.9.9"], "192.168.7.4"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, 192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9", "192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, 192.168.7.4, 10.0.0.3"], "192.168.7.4"),
        ("127.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("127.0.0.1", ["192.168.7.4:51312"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, unknown"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_a_trusted_proxy_saw(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert PROXIES.client_of(peer, forwarded) == client


def passed_on(path: str, peer: str = "127.0.0.1", root_path: str = "/h", **headers: str) -> Scope:
    """Return the scope that the application sees, or the response's start in its place."""
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        seen.append(message)

    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "path": path, "client": (peer, 5), "scheme": "http", "headers": raw}
    asyncio.run(Forwarded(app, PROXIES, root_path)(scope, receive, send))
    return seen[0]


@pytest.mark.parametrize(
    ("path", "seen"),
    [("/h/", "/"), ("/h/api/x", "/api/x"), ("/", "/"), ("/hx", "/hx"), ("/h/h/", "/h/")],
)
def test_the_prefix_is_removed_once_and_may_be_missing(path: str, seen: str) -> None:
    assert passed_on(path)["path"] == seen


def test_the_prefix_alone_leads_to_the_page() -> None:
    answer = passed_on("/h")
    assert (answer["status"], (b"location", b"/h/") in answer["headers"]) == (308, True)
    assert passed_on("/", root_path="")["path"] == "/"


def test_only_a_trusted_proxy_is_believed() -> None:
    said = {
        "x_forwarded_for": "192.168.7.4",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "hub.example",
    }
    seen = passed_on("/", **said)
    assert (seen["client"], seen["scheme"]) == (("192.168.7.4", 0), "https")
    assert seen["state"] == {
        PEER: ("127.0.0.1", 5),
        PROXIED: True,
        FORWARDED_HOST: "hub.example",
    }
    seen = passed_on("/", peer="192.168.7.9", **said)
    assert (seen["client"], seen["scheme"]) == (("192.168.7.9", 5), "http")
    assert seen["state"] == {PEER: ("192.168.7.9", 5)}
