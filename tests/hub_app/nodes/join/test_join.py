"""A machine joins a running hub over TLS: script, wheels, login, and what is refused."""

import contextlib
import datetime as dt
import hashlib
import os
import secrets
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from broker.auth import accounts, certificates, tokens
from broker.auth.server_tls import CA_NAME
from bus.clock import now_ms
from bus.contract.topics import Topic, TopicKind
from hub_app.nodes.join import codes
from hub_app.nodes.join.codes import NodeWish
from hub_app.nodes.join.service import WRONG_CODES
from hub_app.nodes.join.wheels import FOLDER
from tests.hub_app.whole_hub import Hub, status
from tests.support import HOST, WAIT_S, free_port, program, wait_until, wait_until_listening

WHEEL = "harvester_edge-0.0.0-py3-none-any.whl"
ARM = "msgspec-0.20.0-cp311-cp311-manylinux_2_28_aarch64.whl"


class Site:
    """A running hub with certificates and wheels, and its join listener."""

    def __init__(self, hub: Hub, join_port: int) -> None:
        self.hub, self.join_port = hub, join_port
        self.url = f"https://{HOST}:{join_port}"
        self.trust = ssl.create_default_context(cafile=str(hub.state / "tls" / CA_NAME))
        self.file = hub.state / codes.FILE_NAME

    def line(self, node: str, *, replace: bool = False) -> str:
        answer = self.hub.http.post("/api/join-codes", json={"node": node, "replace": replace})
        assert answer.status_code == HTTPStatus.OK, answer.text
        wait_until_listening(self.join_port)
        return str(answer.json()["line"])

    def code(self, node: str, *, replace: bool = False) -> str:
        return self.line(node, replace=replace).split("/join/")[1].split()[0]

    @contextlib.contextmanager
    def client(self, address: str = HOST) -> Iterator[httpx.Client]:
        transport = httpx.HTTPTransport(local_address=address, verify=self.trust)
        with httpx.Client(
            base_url=self.url, transport=transport, timeout=WAIT_S, trust_env=False
        ) as made:
            yield made

    def state(self, node: str) -> str:
        joins = self.hub.http.get("/api/join-codes").json()["joins"]
        return next(join["state"] for join in joins if join["node"] == node)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hub = Hub(tmp_path_factory.mktemp("join"))
    certificates.init(hub.state / "tls", [HOST, "localhost"], dt.datetime.now(dt.UTC))
    (hub.state / FOLDER).mkdir()
    (hub.state / FOLDER / WHEEL).write_bytes(b"a wheel")
    (hub.state / FOLDER / ARM).write_bytes(b"for ARM")
    join_port, tls_port = free_port(), free_port()
    keys = {"web__join_listen": HOST, "web__join_port": join_port, "broker__tls_port": tls_port}
    with hub.http, hub.running(**keys):
        yield Site(hub, join_port)


def body(token: str, nonce: str = "0" * 32) -> dict[str, object]:
    return {
        "nonce": nonce,
        "token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        "mosquitto": tokens.mosquitto_hash(token),
        "host": "raspberrypi",
        "machine": "aarch64",
        "found": ["BME680 at 0x76"],
    }


def test_a_machine_joins_and_is_online(site: Site) -> None:
    code, token = site.code("pi4"), tokens.new_token()
    assert site.state("pi4") == "waiting"
    with site.client() as machine:
        script = machine.get(f"/join/{code}")
        assert script.text.startswith("#!/bin/sh")
        assert code in script.text
        assert "BEGIN CERTIFICATE" in script.text
        assert script.headers["cache-control"] == "no-store"
        assert site.state("pi4") == "installing"
        answer = machine.post(f"/join/{code}", json=body(token)).json()
        assert answer["node"] == "pi4"
        assert answer["url"].startswith(f"mqtts://{HOST}:")
        assert token not in machine.post(f"/join/{code}", json=body(token)).text
        assert site.state("pi4") == "joined"
        with site.hub.node("pi4", token) as node:
            node.publish(Topic("pi4", TopicKind.STATUS), status("online"))
            wait_until(lambda: site.state("pi4") == "online")
        assert machine.get(f"/join/{code}/status").json()["node"] == "pi4"
    assert code not in site.file.read_text()
    assert token not in site.file.read_text()


def test_wheels_are_those_for_the_machine_with_our_own_first(site: Site) -> None:
    code = site.code("wheels")
    with site.client() as machine:
        of_arm = machine.get(f"/join/{code}/wheels", params={"machine": "aarch64"})
        assert of_arm.text.split() == [WHEEL, ARM]
        of_pc = machine.get(f"/join/{code}/wheels", params={"machine": "x86_64"})
        assert of_pc.text.split() == [WHEEL]
        assert machine.get(f"/join/{code}/wheels/{WHEEL}").content == b"a wheel"
        for wrong in ("..%2Faccounts.json", "accounts.json", "a-1-py3-none-any.whl"):
            assert machine.get(f"/join/{code}/wheels/{wrong}").status_code == HTTPStatus.NOT_FOUND


def test_a_code_is_good_for_one_machine_which_may_ask_again(site: Site) -> None:
    code, token = site.code("once"), tokens.new_token()
    with site.client() as machine:
        first = machine.post(f"/join/{code}", json=body(token))
        assert machine.post(f"/join/{code}", json=body(token)).json() == first.json()
        other = body(tokens.new_token(), secrets.token_hex(16))
        refused = machine.post(f"/join/{code}", json=other)
    assert refused.status_code == HTTPStatus.GONE
    assert "another machine has used this code" in refused.json()["error"]


def test_two_machines_that_show_one_code_at_once_make_one_login(site: Site) -> None:
    code = site.code("race")
    made = [tokens.new_token() for _ in range(4)]
    answers: dict[str, int] = {}

    def join(token: str) -> None:
        with site.client() as machine:
            request = body(token, secrets.token_hex(16))
            answers[token] = machine.post(f"/join/{code}", json=request).status_code

    threads = [threading.Thread(target=join, args=(token,)) for token in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sorted(answers.values()) == [200, 410, 410, 410]
    (winner,) = [token for token, code in answers.items() if code == HTTPStatus.OK]
    kept = accounts.load(site.hub.state / "accounts.json").nodes["race"]
    assert tokens.verify(winner.encode(), kept.token_sha256)


def test_two_nodes_join_at_the_same_time(site: Site) -> None:
    both = {node: site.code(node) for node in ("attic", "cellar")}
    with site.client() as machine:
        for node, code in both.items():
            answer = machine.post(f"/join/{code}", json=body(tokens.new_token()))
            assert answer.json()["node"] == node


def test_an_expired_code_says_so(site: Site) -> None:
    code, now = codes.new_code(), now_ms()
    site.line("open")
    late = codes.made_of(code, NodeWish(node="late"), now - codes.VALID_MS - 1000)
    codes.add(site.file, site.hub.state / "accounts.json", late, now)
    with site.client() as machine:
        for refused in (
            machine.get(f"/join/{code}"),
            machine.post(f"/join/{code}", json=body(tokens.new_token())),
        ):
            assert refused.status_code == HTTPStatus.GONE
            assert "has expired" in refused.text


def test_five_wrong_codes_of_an_address_lock_it_out(site: Site) -> None:
    code = site.code("guess")
    with site.client("127.0.0.9") as guesser, site.client() as machine:
        for _ in range(WRONG_CODES):
            wrong = guesser.get(f"/join/{codes.new_code()}")
            assert wrong.status_code == HTTPStatus.NOT_FOUND
        locked = guesser.get(f"/join/{code}")
        assert locked.status_code == HTTPStatus.TOO_MANY_REQUESTS
        assert machine.get(f"/join/{code}").status_code == HTTPStatus.OK


def test_a_login_is_replaced_on_request_only(site: Site) -> None:
    old, new = tokens.new_token(), tokens.new_token()
    with site.client() as machine:
        machine.post(f"/join/{site.code('shed')}", json=body(old))
        refused = site.hub.http.post("/api/join-codes", json={"node": "shed"})
        assert refused.status_code == HTTPStatus.BAD_REQUEST
        assert "--replace" in refused.json()["error"]
        machine.post(f"/join/{site.code('shed', replace=True)}", json=body(new))
    kept = accounts.load(site.hub.state / "accounts.json").nodes["shed"]
    assert tokens.verify(new.encode(), kept.token_sha256)
    assert not tokens.verify(old.encode(), kept.token_sha256)


@pytest.mark.parametrize("node", ["revpi", "local", "Pi 4", "../x"])
def test_a_name_that_no_node_can_have_gets_no_code(site: Site, node: str) -> None:
    assert site.hub.http.post("/api/join-codes", json={"node": node}).status_code == 400


def test_a_token_itself_is_refused(site: Site) -> None:
    request = body(tokens.new_token()) | {"token_sha256": tokens.new_token()}
    with site.client() as machine:
        answer = machine.post(f"/join/{site.code('strict')}", json=request)
    assert answer.status_code == HTTPStatus.BAD_REQUEST


def test_plain_http_gets_no_script(site: Site) -> None:
    code = site.code("plain")
    answer = httpx.get(f"http://{HOST}:{site.join_port}/join/{code}", trust_env=False)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "#!/bin/sh" not in answer.text


def test_the_page_has_no_join_routes(site: Site) -> None:
    assert site.hub.http.get(f"/join/{site.code('page')}").status_code == HTTPStatus.NOT_FOUND


def test_a_revoked_code_is_of_no_use(site: Site) -> None:
    site.line("other")
    code = site.code("gone")
    assert site.hub.http.delete("/api/join-codes/gone").json()["ok"]
    with site.client("127.0.0.10") as machine:
        assert machine.get(f"/join/{code}").status_code == HTTPStatus.NOT_FOUND


def run_line(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the part of the line before `| sudo sh`, and a shell that only notes its input."""
    program("curl")
    seen = folder / "ran"
    text = line.replace("| sudo sh", f"> {seen}; echo status $?")
    return subprocess.run(
        ["sh", "-c", text],
        env={"PATH": os.environ["PATH"], "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_curl_takes_the_script_by_the_pin_of_the_line(site: Site, tmp_path: Path) -> None:
    done = run_line(site.line("pinned"), tmp_path)
    assert "status 0" in done.stdout, done.stderr
    assert (tmp_path / "ran").read_text().rstrip().endswith('join "$@"')


def test_curl_takes_nothing_under_a_wrong_pin(site: Site, tmp_path: Path) -> None:
    line = site.line("forged")
    pin = line.split("'")[1]
    done = run_line(line.replace(pin, f"sha256//{'A' * 43}="), tmp_path)
    # curl(1): CURLE_SSL_PINNEDPUBKEYNOTMATCH.
    assert "status 90" in done.stdout
    assert (tmp_path / "ran").read_text() == ""
    assert site.state("forged") == "waiting"


def test_a_script_that_is_cut_off_does_nothing(site: Site) -> None:
    with site.client() as machine:
        script = machine.get(f"/join/{site.code('cut')}").text
    lines = script.splitlines(keepends=True)
    for count in range(0, len(lines) - 1, 7):
        done = subprocess.run(
            ["sh"],
            input="".join(lines[:count]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == ""
        assert "harvester:" not in done.stderr


def test_the_script_is_clean_by_shellcheck() -> None:
    shell = Path(codes.__file__).with_name("join.sh")
    subprocess.run([program("shellcheck"), shell], check=True, timeout=60)
