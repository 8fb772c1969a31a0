"""Log-in over HTTP: sessions, roles, and passwords."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from broker.auth.password_check import PasswordCheck, TooManyAttemptsError
from bus.config import config_file
from bus.config.hub_files import ACCOUNTS_NAME
from bus.errors import MisconfiguredError
from bus.files import private_file
from hub_app.login.login import LogIn, WrongPasswordError
from hub_app.login.people import OnePassword, PasswordFile, read_password
from hub_app.login.sessions import Visitor
from tests.http_client import http_client
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import eventually
from tests.hub_app.samples import reading

SHARED = "correct horse battery"
KIMS, LEES = "kims secret", "lees \u00e4 secret & more"
ROUTES = [
    *("/", "/events", "/api/readings", "/api/nodes", "/api/logs", "/api/alarms"),
    *("/api/alarms/rules", "/api/nodes/pi4/oled.png"),
    *("/api/session", "/static/overview/overview.js", "/static/", "/nowhere", "/health/"),
]
COMMANDS = [
    *("/api/buzzer", "/api/buzzer/test", "/api/plugins", "/api/alarms/rules"),
    *("/api/alarms/pi4/a/ack", "/api/alarms/pi4/a/mute"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that knows an operator by a file, and two people by their accounts."""
    directory = tmp_path_factory.mktemp("guarded")
    secret = directory / "web-password"
    secret.write_text(SHARED + "\n")
    secret.chmod(0o600)
    accounts.set_password(accounts_file(directory), "kim", Role.VIEWER, KIMS)
    accounts.set_password(accounts_file(directory), "lee", Role.OPERATOR, LEES)
    with running_hub(directory, web__password=secret, web__login="true") as running:
        yield running


def accounts_file(directory: Path) -> Path:
    return directory / "state" / ACCOUNTS_NAME


def visit(hub: HubProcess) -> httpx.Client:
    return http_client(hub.url)


def enter(client: httpx.Client, name: str, password: str) -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password})


def shown(token: str) -> dict[str, str]:
    return {"Cookie": f"harvester_session={token}"}


@pytest.fixture
def visitor(guarded: HubProcess) -> Iterator[httpx.Client]:
    with visit(guarded) as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_no_route_answers_without_a_session(visitor: httpx.Client, path: str) -> None:
    for token in (None, "", "x", "A" * 43):
        answer = visitor.get(path, headers={} if token is None else shown(token))
        if path == "/":
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        else:
            assert (answer.status_code, answer.json()["ok"]) == (401, False)


@pytest.mark.parametrize("path", COMMANDS)
def test_no_command_is_carried_out_without_a_session(visitor: httpx.Client, path: str) -> None:
    assert visitor.post(path).status_code == 401


def test_health_without_a_session_has_no_counters(visitor: httpx.Client) -> None:
    health = visitor.get("/health")
    assert health.status_code == 200
    assert sorted(health.json()) == ["bus_connected", "status", "uptime_s", "version"]


def test_the_form_needs_no_script_and_its_style_no_session(visitor: httpx.Client) -> None:
    form = visitor.get("/login")
    assert form.status_code == 200
    assert "<script" not in form.text
    assert 'method="post" action="/login"' in form.text
    assert "form-action 'self'" in form.headers["content-security-policy"]
    assert visitor.get("/static/frame/app.css").status_code == 200


@pytest.mark.parametrize(
    ("name", "password", "role"),
    [("operator", SHARED, "operator"), ("kim", KIMS, "viewer"), ("lee", LEES, "operator")],
)
def test_a_right_password_opens_everything_until_logging_out(
    guarded: HubProcess, visitor: httpx.Client, name: str, password: str, role: str
) -> None:
    answer = enter(visitor, name, password)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/;" in cookie
    assert "Secure" not in cookie
    assert visitor.get("/api/session").json() == {"login": True, "name": name, "role": role}
    assert visitor.get("/api/nodes").status_code == 200
    assert visitor.get("/login").headers["location"] == "/"
    page = visitor.get("/")
    assert page.status_code == 200
    assert 'action="/logout"' in page.text
    token = visitor.cookies["harvester_session"]
    assert visitor.post("/logout").headers["location"] == "/login"
    assert visitor.get("/api/nodes", headers=shown(token)).status_code == 401
    assert password not in guarded.service.output()


def test_the_log_in_leads_back_to_the_view_that_was_asked_for(visitor: httpx.Client) -> None:
    wanted = "/alarms?node=pi4&above=30"
    refused = visitor.get(wanted)
    assert refused.headers["location"] == "/login?next=%2Falarms%3Fnode%3Dpi4%26above%3D30"
    form = visitor.get(refused.headers["location"]).text
    assert 'name="next" value="/alarms?node=pi4&amp;above=30"' in form
    wrong = visitor.post("/login", data={"name": "kim", "password": "no", "next": wanted})
    assert 'value="/alarms?node=pi4&amp;above=30"' in wrong.text
    right = visitor.post("/login", data={"name": "kim", "password": KIMS, "next": wanted})
    assert (right.status_code, right.headers["location"]) == (303, wanted)
    assert visitor.get("/login", params={"next": "/log"}).headers["location"] == "/log"


@pytest.mark.parametrize("hostile", ["//evil.example", "/\\evil.example", "https:evil.example"])
def test_the_log_in_leads_to_no_other_site(visitor: httpx.Client, hostile: str) -> None:
    assert "evil" not in visitor.get("/login", params={"next": hostile}).text
    answer = visitor.post("/login", data={"name": "kim", "password": KIMS, "next": hostile})
    assert answer.headers["location"] == "/"
    assert visitor.get("/login", params={"next": hostile}).headers["location"] == "/"


def test_over_https_the_cookie_stays_there(visitor: httpx.Client) -> None:
    visitor.headers["X-Forwarded-Proto"] = "https"
    assert "Secure" in enter(visitor, "operator", SHARED).headers["set-cookie"]


def test_a_viewer_looks_and_an_operator_commands(guarded: HubProcess) -> None:
    with visit(guarded) as kim, visit(guarded) as lee:
        enter(kim, "kim", KIMS)
        enter(lee, "lee", LEES)
        for path in COMMANDS:
            refused = kim.post(path)
            assert refused.status_code == 403
            assert refused.json()["error"] == "kim may look, but not command"
            assert lee.post(path).status_code in (400, 404)


def test_a_wrong_password_is_refused_in_words_and_what_was_typed_is_not_logged(
    guarded: HubProcess, visitor: httpx.Client
) -> None:
    for name, password in (("operator", KIMS), ("kim", SHARED), ("<nobody>", "nothing at all")):
        answer = enter(visitor, name, password)
        assert answer.status_code == 401
        assert "wrong name or password" in answer.text
        assert "<nobody>" not in answer.text
        assert "set-cookie" not in answer.headers
    assert "nobody" not in guarded.service.output()
    assert "refused a log-in from 127.0.0.1" in guarded.service.output()
    enter(visitor, "operator", SHARED)


@pytest.mark.parametrize(
    "body", [b"", b"name=kim", b"name=&password=", b"\xff=1", b"a=1&" * 50, b'{"name": "kim"}']
)
def test_what_is_no_form_is_refused(visitor: httpx.Client, body: bytes) -> None:
    answer = visitor.post("/login", content=body)
    assert (answer.status_code, "name" in answer.text) == (400, True)
    assert visitor.post("/login", content=b"x" * 5000).status_code == 413


def test_another_sites_form_logs_nobody_in_or_out(visitor: httpx.Client) -> None:
    headers = {"Origin": "http://evil.example"}
    data = {"name": "operator", "password": SHARED}
    assert visitor.post("/login", data=data, headers=headers).status_code == 403
    assert visitor.post("/logout", headers=headers).status_code == 403


def test_guessing_is_slowed_down_for_one_address_only(visitor: httpx.Client) -> None:
    # The X-Forwarded headers of a proxy on this machine are trusted.
    visitor.headers["X-Forwarded-For"] = "10.9.9.9"
    answers = [enter(visitor, "operator", f"guess number {i}") for i in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 10
    assert "try again in" in answers[-1].text
    assert enter(visitor, "operator", SHARED).status_code == 429
    visitor.headers["X-Forwarded-For"] = "10.9.9.10"
    assert enter(visitor, "operator", SHARED).status_code == 303


def test_guesses_from_many_addresses_do_not_lock_out_a_known_one(visitor: httpx.Client) -> None:
    visitor.headers["X-Forwarded-For"] = "10.8.0.1"
    assert enter(visitor, "lee", LEES).status_code == 303
    statuses = []
    for n in range(24):
        visitor.headers["X-Forwarded-For"] = f"10.8.1.{n}"
        statuses.append(enter(visitor, "lee", "a guess").status_code)
    assert statuses[:20] == [401] * 20
    assert 429 in statuses[20:]
    visitor.headers["X-Forwarded-For"] = "10.8.0.1"
    assert enter(visitor, "lee", LEES).status_code == 303


def test_logging_out_ends_the_stream(guarded: HubProcess, visitor: httpx.Client) -> None:
    enter(visitor, "operator", SHARED)
    with visitor.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        visitor.post("/logout")
        guarded.publish(*reading(node="after-logging-out"))
        assert not [line for line in lines if "after-logging-out" in line]


def test_a_replaced_account_ends_its_sessions_and_no_others(
    guarded: HubProcess, visitor: httpx.Client
) -> None:
    file = accounts_file(guarded.directory)
    accounts.set_password(file, "ann", Role.VIEWER, "anns first one")
    with visit(guarded) as operator:
        enter(operator, "operator", SHARED)
        assert enter(visitor, "ann", "anns first one").status_code == 303
        assert visitor.get("/api/nodes").status_code == 200
        accounts.set_password(file, "ann", Role.VIEWER, "anns second one")
        eventually(lambda: visitor.get("/api/nodes").status_code == 401, "the session went on")
        assert operator.get("/api/nodes").status_code == 200


def test_who_logs_in_anew_has_one_session_only(visitor: httpx.Client) -> None:
    enter(visitor, "operator", SHARED)
    first = visitor.cookies["harvester_session"]
    enter(visitor, "operator", SHARED)
    assert visitor.cookies["harvester_session"] != first
    assert visitor.get("/api/nodes").status_code == 200
    visitor.cookies.clear()
    assert visitor.get("/api/nodes", headers=shown(first)).status_code == 401


def test_one_password_is_right_for_one_name_only() -> None:
    people = OnePassword("s\u00e4cret".encode())

    async def tried() -> list[Role | None]:
        pairs = (("operator", "s\u00e4cret"), ("operator", "sacret"), ("kim", "s\u00e4cret"))
        return [await people.verify(*pair) for pair in pairs]

    assert asyncio.run(tried()) == [Role.OPERATOR, None, None]


def test_who_comes_when_many_passwords_are_checked_is_sent_away() -> None:
    class Wrong(OnePassword):
        async def verify(self, name: str, password: str) -> Role | None:
            await asyncio.sleep(0)
            return await super().verify(name, password)

    async def crowd() -> list[object]:
        log_in = LogIn([Wrong(b"secret")], PasswordCheck(lambda: 0.0), lambda: 0.0)
        tries = (log_in.enter(f"10.0.{i // 250}.{i % 250}", f"kim{i}", "x") for i in range(324))
        return list(await asyncio.gather(*tries, return_exceptions=True))

    answers = [type(answer) for answer in asyncio.run(crowd())]
    assert answers.count(WrongPasswordError) == 320
    assert answers.count(TooManyAttemptsError) == 4


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        (None, 0o600, "web.password: found no such file; expected the path of a file, mode 0600"),
        (b"long enough", 0o644, "found mode 0644, expected 0600"),
        (b" short \n", 0o600, "found a password of 5 characters, expected at least 8"),
        (b"\xff" * 9, 0o600, "found no UTF-8"),
    ],
)
def test_an_unusable_password_file_is_named_without_its_content(
    tmp_path: Path, content: bytes | None, mode: int, error: str
) -> None:
    path = tmp_path / "hunter2"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(MisconfiguredError, match=error) as raised:
        read_password(path)
    assert (content or path.name.encode()).decode(errors="replace").strip() not in str(raised.value)


def test_the_configuration_shows_no_password(tmp_path: Path) -> None:
    config = config_file.load(None, ["cluster.role=hub", "web.password=hunter2"])
    assert Path(config.web.password).name == "hunter2"
    for text in (config_file.dump(config), repr(config), str(config.web)):
        assert "hunter2" not in text
    assert 'password = "(set)"' in config_file.dump(config)


def test_a_replaced_password_file_counts_at_once_and_ends_the_old_sessions(tmp_path: Path) -> None:
    path = tmp_path / "password"
    private_file.write(path, b"the first one")

    async def enter_both() -> tuple[Visitor | None, Visitor | None]:
        people = PasswordFile(path)
        log_in = LogIn([people], PasswordCheck(lambda: 0.0), lambda: 0.0)
        first = await log_in.enter("10.0.0.1", "operator", "the first one")
        private_file.write(path, b"short")
        log_in.refresh()
        assert log_in.visitor(first) is not None
        private_file.write(path, b"the second one")
        second = await log_in.enter("10.0.0.1", "operator", "the second one")
        return log_in.visitor(first), log_in.visitor(second)

    assert asyncio.run(enter_both()) == (None, Visitor("operator", Role.OPERATOR))
