"""The page behind nginx and Caddy as deploy/ sets them up, with TLS and below a path."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import pytest
from websockets.sync.client import connect as open_websocket
from websockets.typing import Origin, Subprotocol

from broker.auth import accounts
from broker.auth.gate import Role
from broker.auth.login_limiter import BURST
from bus.config.hub_files import ACCOUNTS_NAME
from bus.contract.messages import Oled
from bus.contract.topics import Topic, TopicKind
from tests.broker.auth.hub import hub_bus
from tests.broker.embedded.raw import connect
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.samples import reading
from tests.hub_app.serving import proxies
from tests.hub_app.serving.proxies import OWN_NAME, PREFIX, SHARED_NAME, Proxy
from tests.support import HOST, WAIT_S, free_port

PASSWORD = "kims own secret"
# Addresses of this machine that are no trusted proxy.
PERSON, GUESSER = "127.0.0.6", "127.0.0.7"
SITES = [pytest.param(True, id="own name, TLS"), pytest.param(False, id="path, clear")]


class Setup:
    """A hub for each of the two ways, and one proxy in front of both."""

    def __init__(self, hubs: dict[bool, HubProcess], fronts: dict[bool, Proxy]) -> None:
        self.hubs = hubs
        self._fronts = fronts

    def front(self, *, tls: bool) -> Proxy:
        return self._fronts[tls]

    def client(self, *, tls: bool, address: str = PERSON) -> httpx.Client:
        return self._fronts[tls].client(address, tls=tls)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def setup(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    run = {"nginx": proxies.nginx, "caddy": proxies.caddy}[request.param]
    folders = {tls: tmp_path_factory.mktemp("behind") for tls in (True, False)}
    for folder in folders.values():
        accounts.set_password(folder / "state" / ACCOUNTS_NAME, "kim", Role.OPERATOR, PASSWORD)
    keys = {"web__login": "true", "web__names": f'["{OWN_NAME}", "{SHARED_NAME}"]'}
    port = free_port()
    broker = tmp_path_factory.mktemp("broker")
    accounts.set_password(broker / ACCOUNTS_NAME, "kim", Role.OPERATOR, PASSWORD)
    with (
        hub_bus(broker, broker__websocket_port=port, broker__websocket_listen=HOST),
        running_hub(folders[True], **keys) as own,
        running_hub(folders[False], **keys, web__root_path=PREFIX) as below,
        run(folders[True], own.web_port, port) as with_tls,
        run(folders[False], below.web_port, port) as clear,
    ):
        yield Setup({True: own, False: below}, {True: with_tls, False: clear})


def log_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    return client.post(
        "/login",
        data={"name": "kim", "password": password},
        headers={"Origin": str(client.base_url.join("/")).rstrip("/")},
    )


@pytest.mark.parametrize("tls", SITES)
def test_a_person_logs_in_and_every_url_of_the_page_is_there(setup: Setup, *, tls: bool) -> None:
    setup.hubs[tls].publish(Topic("pi4", TopicKind.OLED), Oled(8, 8, on=True, frame=b"\x01" * 8))
    root = "" if tls else PREFIX
    with setup.client(tls=tls) as client:
        asked = client.get("/")
        assert (asked.status_code, asked.headers["location"]) == (303, f"{root}/login")
        assert f'action="{root}/login"' in client.get("/login").text
        entered = log_in(client)
        assert (entered.status_code, entered.headers["location"]) == (303, f"{root}/")
        cookie = entered.headers["set-cookie"]
        assert f"Path={root}/" in cookie
        assert ("Secure" in cookie) == tls
        page = client.get("/")
        assert page.status_code == 200
        for url in (
            *re.findall(r'(?:href|src)="([^"]+)"', page.text),
            f"{root}/static/live/values.js",
        ):
            assert url.startswith(f"{root}/")
            assert client.get(urljoin(str(page.url), url)).status_code == 200
        assert f'action="{root}/logout"' in page.text


@pytest.mark.parametrize("tls", SITES)
def test_events_arrive_one_by_one(setup: Setup, *, tls: bool) -> None:
    with setup.client(tls=tls) as client:
        log_in(client)
        with client.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line.startswith("data: "))
            for seq in (1, 2):
                setup.hubs[tls].publish(*reading(node="behind", seq=seq, temperature=20.5 + seq))
                next(line for line in lines if f'"temperature":{20.5 + seq}' in line)


@pytest.mark.parametrize("tls", SITES)
def test_a_command_of_the_page_is_taken_and_another_sites_is_not(
    setup: Setup, *, tls: bool
) -> None:
    with setup.client(tls=tls) as client:
        log_in(client)
        own = {"Origin": str(client.base_url.join("/")).rstrip("/")}
        assert client.post("/api/buzzer?action=siren", headers=own).status_code == 400
        other = {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
        assert client.post("/api/buzzer?action=siren", headers=other).status_code in (403, 421)


def test_a_client_behind_the_proxy_cannot_choose_its_address(setup: Setup) -> None:
    with setup.client(tls=True, address=GUESSER) as client:
        statuses = []
        for i in range(BURST + 1):
            client.headers["X-Forwarded-For"] = f"10.7.0.{i}"
            statuses.append(log_in(client, f"guess {i}").status_code)
    assert statuses == [401] * BURST + [429]
    assert f"refused a log-in from {GUESSER}" in setup.hubs[True].service.output()


def test_the_path_without_a_slash_leads_to_the_page(setup: Setup) -> None:
    with setup.client(tls=False) as client:
        answer = client.get(str(client.base_url).rstrip("/"))
        assert answer.status_code == 308
        assert answer.headers["location"].endswith("/harvester/")


def test_mqtt_over_websocket_has_the_login_of_its_client(setup: Setup) -> None:
    front = setup.front(tls=True)
    sock = socket.create_connection((HOST, front.tls_port), WAIT_S, (PERSON, 0))
    hello = connect("web", username="kim", password=PASSWORD.encode())
    with open_websocket(
        f"wss://{OWN_NAME}/mqtt",
        sock=sock,
        ssl=front.trust,
        origin=Origin(f"https://{OWN_NAME}"),
        subprotocols=[Subprotocol("mqtt")],
        open_timeout=WAIT_S,
    ) as client:
        client.send(hello)
        assert client.recv(WAIT_S) == b"\x20\x02\0\0"
