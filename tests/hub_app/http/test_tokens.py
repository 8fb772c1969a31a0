"""Programs over HTTP: API tokens (Bearer), and a name and password (Basic)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.auth import accounts
from broker.auth.gate import Role
from broker.auth.login_limiter import BURST
from bus.config.hub_files import ACCOUNTS_NAME
from hub_app.login import token_uses
from hub_app.login.api_tokens import ApiTokens
from hub_app.login.sessions import Visitor
from hub_app.login.token_uses import TokenUses
from tests.http_client import http_client
from tests.hub_app.conftest import HubProcess, running_hub
from tests.hub_app.connected_node import eventually
from tests.hub_app.samples import reading

PASSWORD = "kims own secret"
READ_ROUTES = [
    *("/", "/metrics", "/api/readings", "/api/nodes", "/api/logs", "/api/session", "/api/broker"),
    "/health",
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("tokens")
    accounts.set_password(file_of(directory), "kim", Role.OPERATOR, PASSWORD)
    with running_hub(directory, web__login="true") as running:
        yield running


def file_of(directory: Path) -> Path:
    return directory / "state" / ACCOUNTS_NAME


@pytest.fixture
def program(guarded: HubProcess, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client with an address of its own, as a proxy on this machine tells it."""
    address = f"10.1.0.{sum(request.node.name.encode()) % 250 + 1}"
    with http_client(guarded.url, headers={"X-Forwarded-For": address}) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def token_for(hub: HubProcess, name: str, role: Role = Role.VIEWER) -> dict[str, str]:
    assert role in (Role.VIEWER, Role.OPERATOR)
    return bearer(accounts.add_token(file_of(hub.directory), name, role))


def test_a_viewers_token_reads_every_route_and_commands_nothing(
    guarded: HubProcess, program: httpx.Client
) -> None:
    program.headers.update(token_for(guarded, "prometheus"))
    for path in READ_ROUTES:
        assert program.get(path).status_code == 200
    assert program.get("/api/session").json() == {
        "login": True,
        "name": "prometheus",
        "role": "viewer",
    }
    assert "faults" in program.get("/health").json()
    refused = program.post("/api/buzzer/test")
    assert refused.status_code == 403
    assert refused.json()["error"] == "prometheus may look, but not command"


def test_an_operators_token_commands_whatever_page_sent_it(
    guarded: HubProcess, program: httpx.Client
) -> None:
    headers = token_for(guarded, "robot", Role.OPERATOR)
    for extra in ({}, {"Origin": "http://elsewhere.example"}):
        answer = program.post("/api/buzzer?action=siren", headers=headers | extra)
        assert answer.status_code == 400
    refused = program.post("/api/buzzer?action=siren", headers={"Origin": "http://e.example"})
    assert refused.status_code == 403


def test_a_revoked_token_is_refused_at_once_and_its_stream_ends(
    guarded: HubProcess, program: httpx.Client
) -> None:
    headers = token_for(guarded, "brief")
    assert program.get("/api/nodes", headers=headers).status_code == 200
    with program.stream("GET", "/events", headers=headers) as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        accounts.revoke_token(file_of(guarded.directory), "brief")
        assert program.get("/api/nodes", headers=headers).status_code == 401
        guarded.publish(*reading(node="after-revocation"))
        assert not [line for line in lines if "after-revocation" in line]


def test_a_stream_without_changes_ends_too_when_its_token_is_revoked(
    guarded: HubProcess, program: httpx.Client
) -> None:
    headers = token_for(guarded, "quiet")
    with program.stream("GET", "/events?view=node&node=nobody", headers=headers) as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line.startswith("data: "))
        accounts.revoke_token(file_of(guarded.directory), "quiet")
        # Else it would go on with the time for ever.
        assert len(list(lines)) < 20


def test_an_expired_token_is_refused_and_its_use_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / ACCOUNTS_NAME
    token = accounts.add_token(path, "guest", Role.VIEWER, days=1)
    expires_ms = accounts.load(path).tokens["guest"].expires_ms
    assert expires_ms is not None
    now_ms = [expires_ms - 1]
    uses = TokenUses(tmp_path / token_uses.FILE_NAME, lambda: now_ms[0])
    found = ApiTokens(path, uses, lambda: now_ms[0])
    assert found.find(token) == Visitor("guest", Role.VIEWER)
    now_ms[0] = expires_ms
    assert found.find(token) is None
    uses.save(all_uses=True)
    assert token_uses.load(tmp_path / token_uses.FILE_NAME) == {"guest": expires_ms - 1}


def test_the_use_of_a_token_is_written_by_the_running_hub(
    guarded: HubProcess, program: httpx.Client
) -> None:
    headers = token_for(guarded, "watched")
    assert program.get("/metrics", headers=headers).status_code == 200
    path = file_of(guarded.directory).with_name(token_uses.FILE_NAME)
    eventually(lambda: "watched" in token_uses.load(path), "its use is not written")


def test_wrong_tokens_count_as_guesses_and_right_ones_pass(
    guarded: HubProcess, program: httpx.Client
) -> None:
    right = token_for(guarded, "steady")
    statuses = [
        program.get("/metrics", headers=bearer(f"hvt_{i:043}")).status_code
        for i in range(BURST + 1)
    ]
    assert statuses == [401] * BURST + [429]
    assert program.get("/metrics", headers=right).status_code == 200
    login = program.post("/login", data={"name": "kim", "password": PASSWORD})
    assert login.status_code == 429
    assert program.get("/health", headers=bearer("hvt_x")).status_code == 200


def test_a_name_and_password_read_and_do_not_command(program: httpx.Client) -> None:
    auth = httpx.BasicAuth("kim", PASSWORD)
    for path in ("/metrics", "/api/nodes", "/metrics"):
        assert program.get(path, auth=auth).status_code == 200
    assert program.post("/api/buzzer/test", auth=auth).status_code == 401


def test_a_replaced_password_ends_reading_by_the_old_one(
    guarded: HubProcess, program: httpx.Client
) -> None:
    file = file_of(guarded.directory)
    accounts.set_password(file, "ann", Role.VIEWER, "anns first one")
    old = httpx.BasicAuth("ann", "anns first one")
    assert program.get("/api/nodes", auth=old).status_code == 200
    accounts.set_password(file, "ann", Role.VIEWER, "anns second one")
    eventually(lambda: program.get("/api/nodes", auth=old).status_code != 200, "it still reads")
    new = httpx.BasicAuth("ann", "anns second one")
    eventually(lambda: program.get("/api/nodes", auth=new).status_code == 200, "it does not read")


@pytest.mark.parametrize(
    "shown",
    ["Basic", "Basic !!", "Basic a2lt", "Basic OnBhc3M=", "Bearer", "Bearer \xff", "Digest x"],
)
def test_what_is_no_login_opens_nothing(program: httpx.Client, shown: str) -> None:
    answer = program.get("/api/nodes", headers={"Authorization": shown.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_no_secret_is_logged_or_stored(guarded: HubProcess, program: httpx.Client) -> None:
    headers = token_for(guarded, "quiet")
    program.get("/metrics", headers=headers)
    program.get("/metrics", headers=bearer("hvt_secret"))
    token = headers["Authorization"].removeprefix("Bearer ")
    assert token not in file_of(guarded.directory).read_text()
    for secret in (token, "hvt_secret", PASSWORD):
        assert secret not in guarded.service.output()
