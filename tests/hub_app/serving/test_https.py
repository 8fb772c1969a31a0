"""HTTPS of the hub: the page over TLS, plain HTTP on its port, and handshakes that never end."""

import contextlib
import datetime as dt
import logging
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome, Keys

from broker.auth import certificates
from broker.auth.server_tls import CA_NAME, CERTIFICATE_NAME, KEY_NAME
from bus.config.web_table import WebConfig
from bus.errors import MisconfiguredError
from hub_app.serving import tls as web_tls
from hub_app.serving.places import MAX_PER_ADDRESS
from tests.http_client import http_client
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import buzzer_node, eventually
from tests.hub_app.page.browser import Page, complaints
from tests.hub_app.samples import reading
from tests.support import HOST, WAIT_S, Service, free_port, settings

NOW = dt.datetime.now(dt.UTC)
PASSWORD = "correct horse battery"
SILENT, SLOW, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"
# The first bytes of a ClientHello.
HANDSHAKE = b"\x16\x03\x01\x02\x00\x01"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hub's folder, with a password and the certificate of `harvester tls init`."""
    made = tmp_path_factory.mktemp("https")
    certificates.init(tls_dir(made), [HOST, "localhost"], NOW)
    (made / "web-password").write_text(PASSWORD)
    (made / "web-password").chmod(0o600)
    return made


@pytest.fixture(scope="module")
def hub(directory: Path) -> Iterator[HubProcess]:
    """A hub that speaks HTTPS, whose client has logged in."""
    keys = {"web__tls": "true", "web__password": directory / "web-password"}
    with running_hub(directory, trust=trust(directory), **keys) as running:
        log_in(running.http)
        yield running


def tls_dir(directory: Path) -> Path:
    return directory / "state" / "tls"


def trust(directory: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(tls_dir(directory) / CA_NAME))


def log_in(http: httpx.Client) -> httpx.Response:
    return http.post("/login", data={"name": "operator", "password": PASSWORD})


def client(hub: HubProcess, address: str, *, is_plain: bool = False) -> httpx.Client:
    url = hub.url.replace("https:", "http:") if is_plain else hub.url
    return http_client(url, address=address, trust=trust(hub.directory))


@contextlib.contextmanager
def sockets(
    hub: HubProcess, address: str, count: int, sent: bytes
) -> Iterator[list[socket.socket]]:
    """Open connections from one address, and send the same on each."""
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(
                socket.create_connection((HOST, hub.web_port), WAIT_S, source_address=(address, 0))
            )
            for _ in range(count)
        ]
        for it in opened:
            # The hub may have ended it already.
            with contextlib.suppress(ConnectionError):
                it.sendall(sent)
        yield opened


def rest_of(connection: socket.socket) -> bytes:
    """Return what comes until the hub ends the connection."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_the_page_comes_over_tls_with_the_hubs_certificate(hub: HubProcess) -> None:
    answer = hub.http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    # A private CA may go again; a browser would refuse plain HTTP then for as long as it says.
    assert "strict-transport-security" not in answer.headers
    assert f"page on https://{HOST}:{hub.web_port}/" in hub.service.output()


def test_a_client_without_the_ca_is_refused_by_its_own_check(hub: HubProcess) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(hub.url, trust_env=False, timeout=WAIT_S, verify=ssl.create_default_context())


def test_events_stream_over_tls(hub: HubProcess) -> None:
    with hub.http.stream("GET", "/events") as stream:
        assert next(stream.iter_lines()).startswith("id: ")


def test_a_command_of_the_page_itself_is_carried_out(hub: HubProcess) -> None:
    own = {"Origin": hub.url, "Sec-Fetch-Site": "same-origin"}
    with buzzer_node(hub, "b1"):
        answer = hub.http.post("/api/buzzer", json={"node": "b1", "pattern": "beep"}, headers=own)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)


def test_a_browser_logs_in_follows_and_commands_over_https(
    hub: HubProcess, browser: Chrome
) -> None:
    page = Page(browser)
    # The other tests check the certificate; a browser's own store is not theirs to change.
    browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
    browser.get(hub.url.replace("https:", "http:"))
    try:
        page.until_at(f"{hub.url}/login")
        page.until_there("#name").send_keys("operator")
        page.until_there("#password").send_keys(PASSWORD, Keys.ENTER)
        page.until("document.querySelector('[data-state=live]') !== null")
        cookie = browser.get_cookie("harvester_session")
        assert cookie is not None
        assert cookie["secure"] is True
        topic, message = reading(node="s1", temperature=20.5)
        hub.publish(topic, message)
        page.until_field(str(topic), "temperature", "20.5")
        with buzzer_node(hub, "s1", error="the relay is stuck"):
            page.until("document.querySelector('[data-node=s1][data-pattern=beep]') !== null")
            page.until_there("[data-node=s1][data-pattern=beep]").click()
            page.until_text("buzzer: the relay is stuck")
        for view in ("/node/s1", "/system", "/log", "/alarms"):
            browser.get(hub.url + view)
            page.until("document.querySelector('[data-state=live]') !== null")
            loaded = browser.execute_script(
                "return performance.getEntriesByType('resource').map(({ name }) => name)"
            )
            assert [name for name in loaded if not name.startswith(hub.url)] == []
            assert browser.execute_script("return isSecureContext") is True
        assert complaints(browser) == []
    finally:
        browser.get("about:blank")
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
        browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": False})


def test_the_cookie_of_a_log_in_is_sent_over_https_only(hub: HubProcess) -> None:
    with client(hub, THIRD) as third:
        cookie = log_in(third).headers["set-cookie"]
    assert {"secure", "httponly"} <= set(cookie.lower().split("; "))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_plain_http_is_redirected_to_the_same_address(hub: HubProcess, method: str) -> None:
    with client(hub, THIRD, is_plain=True) as plain:
        answer = plain.request(method, "/api/history?sensor=a%3Ab&field=t")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{hub.url}/api/history?sensor=a%3Ab&field=t"
    assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in answer.headers


def test_a_command_over_plain_http_is_refused_with_a_sentence(hub: HubProcess) -> None:
    with client(hub, THIRD, is_plain=True) as plain:
        answer = plain.post("/login", data={"name": "operator", "password": PASSWORD})
    assert (answer.status_code, answer.json()["ok"]) == (400, False)
    assert "expected https://" in answer.json()["error"]
    assert "set-cookie" not in answer.headers


def test_plain_http_under_a_foreign_name_is_not_redirected_there(hub: HubProcess) -> None:
    with client(hub, THIRD, is_plain=True) as plain:
        answers = [plain.get(path, headers={"Host": "evil.example"}) for path in ("/", "/health")]
    assert [answer.status_code for answer in answers] == [421, 400]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_trusted_proxy_is_served_over_plain_http(hub: HubProcess, scheme: str) -> None:
    with client(hub, HOST, is_plain=True) as proxy:
        answer = proxy.get("/health", headers={"X-Forwarded-Proto": scheme})
    assert (answer.status_code, answer.json()["bus_connected"]) == (200, True)


def test_a_stranger_who_says_that_he_is_a_proxy_is_redirected(hub: HubProcess) -> None:
    with client(hub, THIRD, is_plain=True) as stranger:
        assert stranger.get("/health", headers={"X-Forwarded-Proto": "https"}).status_code == 308


@pytest.mark.parametrize("sent", [b"nothing of HTTP\r\n\r\n", b"\x00\xff" * 50, b"\x15\x03\x01"])
def test_what_is_neither_tls_nor_http_is_refused(hub: HubProcess, sent: bytes) -> None:
    with sockets(hub, SLOW, 1, sent) as [connection]:
        connection.shutdown(socket.SHUT_WR)
        answer = rest_of(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in hub.service.output()


@pytest.mark.parametrize("sent", [b"\x16garbage" * 9, HANDSHAKE + b"\xff" * 600])
def test_what_only_begins_like_tls_ends_its_connection(hub: HubProcess, sent: bytes) -> None:
    with sockets(hub, SLOW, 1, sent) as [connection]:
        assert not rest_of(connection).startswith(b"HTTP")
    assert hub.http.get("/health").status_code == 200
    assert "Traceback" not in hub.service.output()


def test_handshakes_that_never_end_keep_nobody_out(hub: HubProcess) -> None:
    count = 2 * MAX_PER_ADDRESS
    with (
        sockets(hub, SILENT, count, b"") as silent,
        sockets(hub, SLOW, count, HANDSHAKE) as slow,
        client(hub, THIRD) as third,
    ):
        assert third.get("/health").status_code == 200
        # At the same address, a newcomer takes the place of the one that waited longest.
        assert (rest_of(silent[0]), rest_of(slow[0])) == (b"", b"")
        with client(hub, SLOW) as neighbour:
            assert neighbour.get("/health").status_code == 200
    assert "Traceback" not in hub.service.output()


def test_a_client_that_leaves_in_its_handshake_is_no_error(hub: HubProcess) -> None:
    for sent in (b"", HANDSHAKE):
        with sockets(hub, SLOW, 20, sent):
            pass
    assert hub.http.get("/health").status_code == 200
    assert "Traceback" not in hub.service.output()


def test_a_renewed_certificate_is_shown_to_new_connections(hub: HubProcess) -> None:
    certificates.renew(tls_dir(hub.directory), [], NOW)
    pem = (tls_dir(hub.directory) / CERTIFICATE_NAME).read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    eventually(lambda: shown_certificate(hub) == der, "the renewed certificate was never shown")
    assert hub.http.get("/health").status_code == 200


def shown_certificate(hub: HubProcess) -> bytes | None:
    with (
        socket.create_connection((HOST, hub.web_port), WAIT_S) as plain,
        trust(hub.directory).wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        return tls.getpeercert(binary_form=True)


def test_a_hub_with_open_tls_connections_stops(tmp_path: Path) -> None:
    certificates.init(tls_dir(tmp_path), [HOST], NOW)
    with (
        running_hub(tmp_path, trust=trust(tmp_path), web__tls="true") as hub,
        sockets(hub, SILENT, 3, b""),
        sockets(hub, SLOW, 3, HANDSHAKE),
        hub.http.stream("GET", "/events") as stream,
    ):
        next(stream.iter_lines())
        assert hub.service.stop() == 0
        assert "Traceback" not in hub.service.output()


def test_without_its_certificate_the_hub_ends_with_one_sentence(tmp_path: Path) -> None:
    keys = settings(
        cluster__role="hub",
        web__listen=HOST,
        web__port=free_port(),
        web__tls="true",
        storage__state_dir=tmp_path / "state",
    )
    config = tmp_path / "hub.toml"
    config.write_text("")
    arguments = ["--config", str(config), *keys]
    with Service("tests.hub_app.hub_process", arguments, tmp_path / "hub.log") as hub:
        assert hub.process.wait(WAIT_S) == 2
        [line] = hub.output().strip().splitlines()
    assert line == (
        f"web.tls: found no certificate {tmp_path}/state/tls/hub.pem; `harvester tls init` makes it"
    )


def test_a_certificate_without_its_key_is_named(tmp_path: Path) -> None:
    certificates.init(tmp_path, [HOST], NOW)
    assert web_tls.load(WebConfig(), tmp_path) is None
    assert web_tls.load(WebConfig(tls=True), tmp_path) is not None
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(MisconfiguredError, match=r"hub\.pem: found no certificate with its key"):
        web_tls.load(WebConfig(tls=True), tmp_path)


def test_a_wrong_renewal_is_logged_and_the_old_certificate_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificates.init(tmp_path, [HOST], NOW)
    tls = web_tls.load(WebConfig(tls=True), tmp_path)
    assert tls is not None
    (tmp_path / CERTIFICATE_NAME).write_text("no certificate")
    tls.modified_ns = 0
    with caplog.at_level(logging.ERROR):
        web_tls.refresh(tls)
        web_tls.refresh(tls)
    assert len(caplog.records) == 1
    assert "the page keeps its old certificate" in caplog.text
