"""Addresses behind reverse proxies, and the path prefix."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from bus.peer_address import TrustedProxies
from hub_app.serving.forwarded import FORWARDED_HOST, PEER, PROXIED, Forwarded

PROXIES = TrustedProxies(["127.0.0.1", "::1", "10.0.0.0/24"])


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
