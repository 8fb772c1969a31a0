"""Fuzzing of HTTP: the hub answers every request or closes the connection, and goes on."""

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.contract.messages import Oled
from bus.contract.topics import Topic, TopicKind
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import until
from tests.hub_app.samples import log, reading
from tests.support import HOST, WAIT_S
from tests.thoroughness import examples

SECRET = "a secret that nobody guesses"
PATHS = [
    *(
        "/",
        "/events",
        "/metrics",
        "/api/readings",
        "/api/sensors",
        "/api/logs",
        "/api/nodes",
        "/api/nodes/fuzzed/oled.png",
    ),
    *(
        "/api/nodes/",
        "/api/buzzer",
        "/api/buzzer/test",
        "/api/plugins",
        "/api/names",
        "/api/broker",
        "/health",
    ),
    *(
        "/login",
        "/logout",
        "/api/session",
        "/static/",
        "/static/overview/overview.js",
        "/static/../app.py",
    ),
    *("/api/history", "/api/coverage", "/sensor/fuzzed/dht22-gpio4", "/sensor/fuzzed/"),
]
NAMES = [
    *("node", "limit", "action", "pattern", "plugin", "name", "password", "sensor", "from"),
    *("to", "width", "times", "field", "format"),
]
HEADERS = [
    *("Host", "Origin", "Cookie", "Content-Type", "Content-Length", "Transfer-Encoding"),
    *("Sec-Fetch-Site", "If-None-Match", "If-Modified-Since", "Range", "If-Range", "Expect"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "Accept-Encoding", "Connection", "Upgrade"),
]
HEADER_VALUES = [
    b"chunked",
    b"100-continue",
    b"websocket",
    b"h2c",
    b"0",
    b"-1",
    b"99999999999999999999",
    b"bytes=0-,5-,9-",
    b"bytes=-1",
    b"null",
    b"http://[",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"harvester_session=;harvester_session=\xff",
]

escaped = st.binary(max_size=40).map(lambda data: quote_from_bytes(data).encode())
# Bytes that a request line may contain between two spaces.
unescaped = st.binary(max_size=40).map(lambda data: bytes(b for b in data if b > 32))
methods = st.sampled_from(
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"]
) | st.text("ABCXYZ!#$", min_size=1, max_size=12).map(str.encode)
paths = st.builds(
    lambda path, more: path.encode() + more, st.sampled_from(PATHS), escaped | unescaped
) | st.sampled_from(PATHS).map(str.encode)
queries = st.lists(
    st.builds(
        lambda name, value: name + b"=" + value,
        st.sampled_from(NAMES).map(str.encode) | escaped,
        escaped | unescaped | st.sampled_from([b"beep", b"1", b"fuzzed", b"-1"]),
    ),
    max_size=3,
).map(b"&".join)
header_lines = st.lists(
    st.builds(
        lambda name, value: name.encode() + b": " + value,
        st.sampled_from(HEADERS),
        st.sampled_from(HEADER_VALUES)
        | st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
    ),
    max_size=4,
)
bodies = st.binary(max_size=200) | st.sampled_from(
    [
        b"[" * 4000,
        b"name=operator&password=%FF",
        b'{"node": "fuzzed", "plugin": "\\ud800", "action": "reload", "x": 1}',
        b'{"pattern": ' + b"9" * 4000,
        b"x" * 5000,
    ]
)


@pytest.fixture(scope="module", params=["open", "guarded"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("fuzzed")
    keys = {}
    if request.param == "guarded":
        secret = directory / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        keys["web__password"] = secret
    with running_hub(directory, **keys) as hub:
        hub.publish(*reading(node="fuzzed"))
        hub.publish(Topic("fuzzed", TopicKind.LOG), log("line"))
        hub.publish(Topic("fuzzed", TopicKind.OLED), Oled(128, 64, on=True, frame=bytes(1024)))
        if request.param == "guarded":
            hub.http.post("/login", data={"name": "operator", "password": SECRET})
        until(hub, "/api/nodes", '"oled":{')
        yield hub
        assert hub.http.get("/health").status_code == 200
        output = hub.service.output()
        assert "Traceback" not in output
        assert "ERROR" not in output
        # Strangers cannot fill the journal.
        assert len(output.splitlines()) < 50
        assert hub.service.stop() == 0


def exchange(hub: HubProcess, request: bytes, patience_s: float) -> bytes:
    """Send a request; return the beginning of the answer, nothing where there is none."""
    with socket.create_connection((HOST, hub.web_port), WAIT_S) as link:
        link.settimeout(patience_s)
        # A closed connection is noticed only at a later byte.
        with contextlib.suppress(ConnectionError, TimeoutError):
            link.sendall(request)
            return link.recv(65536)
    return b""


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Return a request that is mostly valid HTTP, sometimes not."""
    body = draw(bodies)
    head = [
        draw(methods) + b" " + draw(paths) + b"?" + draw(queries) + b" HTTP/1.1",
        b"Host: localhost",
        b"Connection: close",
        b"Cookie: harvester_session=%(token)s",
        b"Content-Length: %d" % len(body),
        *draw(header_lines),
    ]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@given(requests())
@settings(max_examples=examples(150), deadline=None)
def test_no_request_is_answered_with_a_fault_of_the_hub(target: HubProcess, request: bytes) -> None:
    token = target.http.cookies.get("harvester_session", "").encode()
    answer = exchange(target, request.replace(b"%(token)s", token), 0.2)
    assert not answer.startswith(b"HTTP/1.1 500")
    assert not answer or answer.startswith(b"HTTP/1.1 ")


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda data: b"GET /" + data))
@settings(max_examples=examples(50), deadline=None)
def test_what_is_no_request_is_refused(target: HubProcess, data: bytes) -> None:
    answer = exchange(target, data + b"\r\n\r\n", 0.05)
    assert not answer.startswith(b"HTTP/1.1 500")
