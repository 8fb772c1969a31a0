"""A machine joins a running hub over TLS: login and wheels, and what is refused."""

import secrets
import threading
from http import HTTPStatus

import pytest

from broker.auth import accounts, tokens
from bus.clock import now_ms
from bus.contract.topics import Topic, TopicKind
from hub_app.nodes.join import codes
from hub_app.nodes.join.codes import NodeWish
from hub_app.nodes.join.service import WRONG_CODES
from tests.http_client import get
from tests.hub_app.nodes.join.site import ARM, WHEEL, Site, body
from tests.hub_app.whole_hub import status
from tests.support import HOST, WAIT_S, wait_until


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
    assert "a machine has used this code" in refused.json()["error"]


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


def test_a_node_gets_what_the_operator_said_of_it(site: Site) -> None:
    attached = {"dht22": [4], "leds": 11, "leds_pin": 10, "buzzer": 17, "fan": None}
    wish = {"node": "wished", "area": "Garden", "attached": attached}
    code = site.code_of(wish)
    with site.client() as machine:
        assert "asks='no'" in machine.get(f"/join/{code}").text
        answer = machine.post(f"/join/{code}", json=body(tokens.new_token())).json()
    assert (answer["area"], answer["attached"]) == ("Garden", attached)
    assert answer["page"] == f"http://{HOST}:{site.hub.web_port}/"


@pytest.mark.parametrize(
    ("attached", "error"),
    [
        ({"dht22": [4], "fan": 4}, "found pin 4 twice, expected each pin once"),
        ({"dht22": [1]}, "attached.dht22[0]"),
        ({"buzer": 4}, "attached"),
    ],
)
def test_hardware_that_cannot_be_is_refused(
    site: Site, attached: dict[str, object], error: str
) -> None:
    refused = site.hub.http.post("/api/join-codes", json={"node": "odd", "attached": attached})
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert error in refused.json()["error"]


def test_a_used_code_gives_the_script_until_its_node_is_online(site: Site) -> None:
    code, token = site.code("again"), tokens.new_token()
    with site.client() as machine:
        assert "used='no'" in machine.get(f"/join/{code}").text
        machine.post(f"/join/{code}", json=body(token))
        # The machine whose join was interrupted runs the line again; another is refused by it.
        assert "used='yes'" in machine.get(f"/join/{code}").text
        with site.hub.node("again", token) as node:
            node.publish(Topic("again", TopicKind.STATUS), status("online"))
            wait_until(lambda: site.state("again") == "online")
            refused = machine.get(f"/join/{code}")
    assert refused.status_code == HTTPStatus.GONE
    assert "a machine has used this code for again" in refused.text


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
    answer = get(f"http://{HOST}:{site.join_port}/join/{code}")
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
