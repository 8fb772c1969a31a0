"""WebSocket handshake: who is accepted, with which sub-protocol, and from which web page."""

import pytest

from broker.embedded.net.websocket.handshake import HandshakeError, WebSocketPolicy, answer
from bus.peer_address import TrustedProxies

PEER = "192.168.7.20"


def request(*lines: str, subprotocol: str | None = "mqtt", host: str = "hub:9001") -> bytes:
    fields = [
        "GET /mqtt HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol is not None else []),
        *lines,
    ]
    return "\r\n".join([*fields, "", ""]).encode()


def status(text: bytes, policy: WebSocketPolicy | None = None) -> int:
    answered = answer(text, PEER, policy or WebSocketPolicy())
    code = int(answered.response.split(b" ", 2)[1])
    assert bool(answered.error) == (code != 101)
    return code


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("mqtt", b"mqtt"),
        ("mqttv3.1", b"mqttv3.1"),
        ("mqttv3.1, mqtt", b"mqtt"),
        ("x, mqtt", b"mqtt"),
    ],
)
def test_the_sub_protocol_is_that_of_mqtt(offered: str, chosen: bytes) -> None:
    answered = answer(request(subprotocol=offered), PEER, WebSocketPolicy())
    assert answered.response.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Protocol: " + chosen + b"\r\n" in answered.response
    # The example of RFC 6455, section 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answered.response


@pytest.mark.parametrize("offered", [None, "", "chat", "mqttv5"])
def test_without_a_sub_protocol_of_mqtt_there_is_none(offered: str | None) -> None:
    assert status(request(subprotocol=offered)) == 400


def test_compression_is_never_agreed_on() -> None:
    asked = request("Sec-WebSocket-Extensions: permessage-deflate")
    assert b"Extensions" not in answer(asked, PEER, WebSocketPolicy()).response


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"Upgrade: websocket\r\n", b"", 426),
        (b"keep-alive, Upgrade", b"close", 426),
        (b"Version: 13", b"Version: 8", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"short", 400),
        (b"Sec-WebSocket-Key", b"X-Key", 400),
    ],
)
def test_a_request_that_is_no_handshake_is_told_so(old: bytes, new: bytes, code: int) -> None:
    assert status(request().replace(old, new)) == code


@pytest.mark.parametrize(
    "text", [b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET / HTTP/1.1\r\n:\r\n\r\n"]
)
def test_what_is_no_http_is_an_error(text: bytes) -> None:
    with pytest.raises(HandshakeError):
        answer(text, PEER, WebSocketPolicy())


@pytest.mark.parametrize(
    ("origin", "host", "origins", "code"),
    [
        # The hub's own page, on another port; and paho, which sends the address of the broker.
        ("http://hub:3000", "hub:9001", [], 101),
        ("https://HUB", "hub:9001", [], 101),
        ("https://[fe80::1]:3000", "[fe80::1]:9001", [], 101),
        ("http://evil.example", "hub:9001", [], 403),
        ("http://hub.evil.example", "hub:9001", [], 403),
        ("null", "hub:9001", [], 403),
        ("", "hub:9001", [], 403),
        ("http://[", "hub:9001", [], 403),
        ("http://evil.example", "", [], 403),
        ("https://mqttx.example", "hub:9001", ["https://mqttx.example"], 101),
        ("https://mqttx.example:8443", "hub:9001", ["https://mqttx.example"], 403),
        ("http://evil.example", "hub:9001", ["*"], 101),
    ],
)
def test_a_page_from_elsewhere_may_not_connect(
    origin: str, host: str, origins: list[str], code: int
) -> None:
    asked = request(f"Origin: {origin}", host=host)
    assert status(asked, WebSocketPolicy(origins)) == code


@pytest.mark.parametrize(
    "lines",
    [
        ("Origin: http://hub", "Origin: http://evil.example"),
        ("Origin: http://evil.example", "Host: evil.example"),
        ("Origin: http://evil.example", "Host: hub:9001"),
    ],
)
def test_a_page_has_one_origin_and_one_host(lines: tuple[str, ...]) -> None:
    assert status(request(*lines)) == 403


def test_a_trusted_proxy_tells_the_address_of_its_client() -> None:
    asked = request("X-Forwarded-For: 10.0.0.1, 192.0.2.7")
    trusted = WebSocketPolicy(proxies=TrustedProxies([PEER]))
    assert answer(asked, PEER, trusted).address == "192.0.2.7"
    assert answer(asked, PEER, WebSocketPolicy()).address == PEER
