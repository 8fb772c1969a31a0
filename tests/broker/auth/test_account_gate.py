"""The gate: accounts, local clients without a login, wrong passwords, and what they cost."""

import asyncio
import threading
import time
from pathlib import Path

import argon2
import pytest

from broker.auth import accounts, passwords, tokens
from broker.auth.account_gate import AccountGate
from broker.auth.gate import Attempt, Identity, Role
from broker.auth.login_limiter import BURST
from broker.auth.open_topics import Scope
from broker.auth.password_check import PasswordCheck
from bus.client.login import doctor_client_id
from bus.config.broker_table import LocalAccess
from bus.errors import MisconfiguredError
from tests.support import WAIT_S

PASSWORD = "correct horse"
FAR = "10.0.0.9"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("accounts") / "accounts.json"
    accounts.set_password(made, "ann", Role.OPERATOR, PASSWORD)
    accounts.set_password(made, "vic", Role.VIEWER, PASSWORD)
    accounts.set_password(made, "ha", Role.INTEGRATION, PASSWORD)
    return made


@pytest.fixture(scope="module")
def token(path: Path) -> str:
    return accounts.enroll(path, "pi4")


@pytest.fixture
def gate(path: Path) -> AccountGate:
    # No try is forgiven, however long a test takes.
    check = PasswordCheck(lambda: 0.0)
    return AccountGate(path, check, hub_token=tokens.new_token(), allow_local=True)


def attempt(
    username: str | None = None,
    password: str | None = None,
    *,
    client_id: str = "",
    address: str = FAR,
    is_local: bool = False,
    certificate_name: str | None = None,
) -> Attempt:
    return Attempt(
        client_id=client_id or username or "somebody",
        username=username,
        password=None if password is None else password.encode(),
        address=address,
        is_local=is_local,
        certificate_name=certificate_name,
    )


def identify(gate: AccountGate, made: Attempt) -> Identity | None:
    return asyncio.run(gate.authenticate(made))


def test_a_node_shows_its_token(gate: AccountGate, token: str) -> None:
    assert identify(gate, attempt("pi4", token)) == Identity("pi4", Role.NODE)


@pytest.mark.parametrize(
    "expected",
    [
        Identity("ann", Role.OPERATOR),
        Identity("vic", Role.VIEWER),
        Identity("ha", Role.INTEGRATION, "phone"),
    ],
)
def test_a_person_types_a_password_under_any_client_id(
    gate: AccountGate, expected: Identity
) -> None:
    assert identify(gate, attempt(expected.name, PASSWORD, client_id="phone")) == expected


def test_the_hub_shows_the_token_of_this_run(path: Path) -> None:
    secret = tokens.new_token()
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=secret, allow_local=True)
    assert identify(gate, attempt("hub_app", secret)) == Identity("hub_app", Role.HUB)
    assert identify(gate, attempt("hub_app", tokens.new_token())) is None
    other = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    assert identify(other, attempt("hub_app", secret)) is None


def test_who_is_on_this_machine_is_an_operator_without_a_password(gate: AccountGate) -> None:
    assert identify(gate, attempt(is_local=True)) == Identity("local", Role.OPERATOR)
    assert identify(gate, attempt(is_local=False)) is None


def test_one_key_turns_that_off(path: Path) -> None:
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=False)
    assert identify(gate, attempt(is_local=True)) is None
    assert identify(gate, attempt("ann", PASSWORD, is_local=True)) is not None


def test_a_login_that_is_shown_has_to_be_right_even_here(gate: AccountGate, token: str) -> None:
    for username, password in [
        ("ann", "wrong"),
        ("ann", None),
        ("ann", ""),
        ("nobody", PASSWORD),
        ("", ""),
        ("pi4", tokens.new_token()),
        (None, PASSWORD),
    ]:
        made = attempt(username, password, is_local=True, address=f"127.0.0.{len(username or '')}")
        assert identify(gate, made) is None
    made = attempt("pi4", token, is_local=True)
    assert identify(gate, made) == Identity("pi4", Role.NODE)


def test_the_doctor_of_a_node_has_a_connection_of_its_own(gate: AccountGate, token: str) -> None:
    made = attempt("pi4", token, client_id=doctor_client_id("pi4"))
    assert identify(gate, made) == Identity("pi4", Role.NODE)


@pytest.mark.parametrize("client_id", ["hub_app", "pi5", "pi4 ", "PI4", "pi5.doctor"])
def test_a_node_cannot_call_itself_otherwise(gate: AccountGate, token: str, client_id: str) -> None:
    assert identify(gate, attempt("pi4", token, client_id=client_id)) is None


def test_a_certificate_must_name_who_logs_in(gate: AccountGate, token: str) -> None:
    assert identify(gate, attempt("pi4", token, certificate_name="pi4")) is not None
    assert identify(gate, attempt("pi4", token, certificate_name="pi5")) is None


def test_one_nodes_token_is_not_anothers(gate: AccountGate, path: Path, token: str) -> None:
    accounts.enroll(path, "pi5")
    assert identify(gate, attempt("pi5", token)) is None


def test_a_persons_password_in_the_shape_of_a_token_is_refused(path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="no token"):
        accounts.set_password(path, "eve", Role.VIEWER, tokens.new_token())


def test_what_an_account_may_do_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    token = accounts.enroll(path, "pi4")
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    node = identify(gate, attempt("pi4", token))
    assert node is not None
    assert gate.may_publish(node, "harvester/pi4/status")
    accounts.revoke(path, "pi4")
    gate.refresh()
    assert not gate.may_publish(node, "harvester/pi4/status")
    assert not gate.may_subscribe(node, "harvester/pi4/+/cmd")
    assert not gate.may_receive(node, "harvester/pi4/fan/cmd")
    assert identify(gate, attempt("pi4", token)) is None


def test_the_gate_tells_who_was_revoked_or_replaced_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    for node in ("pi4", "pi5", "pi6"):
        accounts.enroll(path, node)
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    told: list[str] = []
    gate.on_revoked = told.append
    accounts.revoke(path, "pi4")
    accounts.enroll(path, "pi5")
    accounts.enroll(path, "pi7")
    gate.refresh()
    gate.refresh()
    assert told == ["pi4", "pi5"]


@pytest.mark.parametrize("damage", ["mode", "text"])
def test_a_file_that_breaks_under_a_running_gate_changes_nothing(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "accounts.json"
    token = accounts.enroll(path, "pi4")
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=True)
    whole = path.read_bytes()
    path.write_bytes(whole + b" " if damage == "mode" else b"{")
    path.chmod(0o644 if damage == "mode" else 0o600)
    gate.refresh()
    gate.refresh()
    assert caplog.records[0].message.startswith("the accounts stay")
    assert len(caplog.records) == 1
    assert identify(gate, attempt("pi4", token)) is not None


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hashes against which passwords are checked from now on."""
    found: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counted(hasher: argon2.PasswordHasher, against: str, password: bytes) -> bool:
        found.append(against)
        return verify(hasher, against, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    return found


def test_devices_that_return_all_at_once_with_one_password_cost_one_hash(
    gate: AccountGate, hashed: list[str]
) -> None:
    async def run() -> list[Identity | None]:
        made = [attempt("ann", PASSWORD, client_id=f"device{n}") for n in range(200)]
        return await asyncio.gather(*(gate.authenticate(one) for one in made))

    assert asyncio.run(run()) == [Identity("ann", Role.OPERATOR)] * 200
    assert len(hashed) == 1


def test_a_device_with_a_wrong_password_uses_up_one_try_however_often_it_comes(
    gate: AccountGate, hashed: list[str]
) -> None:
    async def run() -> Identity | None:
        for _ in range(3 * BURST):
            assert await gate.authenticate(attempt("ann", "wrong")) is None
        return await gate.authenticate(attempt("ann", PASSWORD))

    assert asyncio.run(run()) == Identity("ann", Role.OPERATOR)
    assert len(hashed) == 2


def test_a_password_that_was_right_is_refused_while_no_try_is_left(gate: AccountGate) -> None:
    async def run() -> Identity | None:
        assert await gate.authenticate(attempt("ann", PASSWORD)) is not None
        for n in range(BURST):
            assert await gate.authenticate(attempt("ann", f"wrong {n}")) is None
        return await gate.authenticate(attempt("ann", PASSWORD))

    assert asyncio.run(run()) is None


def test_a_replaced_password_is_wrong_and_the_new_one_right_at_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.set_password(path, "ann", Role.OPERATOR, PASSWORD)
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=False)
    assert identify(gate, attempt("ann", PASSWORD)) is not None
    assert identify(gate, attempt("ann", "another one")) is None
    accounts.set_password(path, "ann", Role.VIEWER, "another one")
    assert identify(gate, attempt("ann", PASSWORD)) is None
    assert identify(gate, attempt("ann", "another one")) == Identity("ann", Role.VIEWER)
    accounts.revoke(path, "ann")
    assert identify(gate, attempt("ann", "another one")) is None


@pytest.fixture
def slow_addresses() -> list[str]:
    return [f"10.0.1.{n}" for n in range(200)]


@pytest.mark.parametrize("name", ["ann", "nobody", "pi4", "local", ""])
def test_a_refusal_costs_as_many_hashes_for_a_name_that_nobody_has(
    gate: AccountGate, name: str, hashed: list[str]
) -> None:
    assert identify(gate, attempt(name, "wrong")) is None
    # One hash with the same parameters: the same work.
    assert [text.split("$")[:4] for text in hashed] == [passwords.hash_password("x").split("$")[:4]]


def test_the_loop_goes_on_while_passwords_are_checked(
    gate: AccountGate, slow_addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, verify = threading.Event(), threading.Event(), argon2.PasswordHasher.verify

    def slow(hasher: argon2.PasswordHasher, against: str, password: bytes) -> bool:
        begun.set()
        # On the loop, this would keep it from what it waits for.
        assert may_end.wait(WAIT_S)
        return verify(hasher, against, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", slow)

    async def run() -> list[Identity | None]:
        checks = [
            asyncio.create_task(gate.authenticate(attempt("ann", address, address=address)))
            for address in slow_addresses[:8]
        ]
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        for _ in range(40):
            await asyncio.sleep(0)
        assert not any(check.done() for check in checks)
        may_end.set()
        return await asyncio.gather(*checks)

    assert asyncio.run(run()) == [None] * 8


def test_the_page_and_the_broker_count_wrong_passwords_together(path: Path) -> None:
    check = PasswordCheck(lambda: 0.0)
    gate = AccountGate(path, check, hub_token=None, allow_local=True)

    async def wrong() -> None:
        return None

    async def run() -> Identity | None:
        for _ in range(BURST):
            await check.run(FAR, "vic", wrong)
        return await gate.authenticate(attempt("ann", PASSWORD))

    assert asyncio.run(run()) is None


def test_nobodys_hash_is_one_that_costs_as_much_and_fits_no_password() -> None:
    assert passwords._NOBODY.split("$")[:4] == passwords.hash_password("x").split("$")[:4]
    assert not passwords.verify(b"", None)


@pytest.mark.parametrize(
    ("allow_local", "role"),
    [
        (True, Role.OPERATOR),
        ("command", Role.OPERATOR),
        ("listen", Role.VIEWER),
        (False, None),
    ],
)
def test_a_local_client_without_a_login_has_the_role_of_the_setting(
    path: Path, allow_local: LocalAccess, role: Role | None
) -> None:
    gate = AccountGate(path, PasswordCheck(time.monotonic), hub_token=None, allow_local=allow_local)
    found = identify(gate, attempt(is_local=True))
    assert (found.role if found else None) == role
    assert identify(gate, attempt(is_local=False)) is None
    if found is not None:
        assert gate.may_subscribe(found, "harvester/#")
        may_command = gate.may_publish(found, "harvester/pi4/buzzer/cmd")
        assert may_command == (role is Role.OPERATOR)


def test_the_prefix_of_home_assistant_is_the_configured_one(path: Path) -> None:
    gate = AccountGate(
        path,
        PasswordCheck(time.monotonic),
        hub_token=None,
        allow_local=False,
        scope=Scope("ha/discovery"),
    )
    who = Identity("ha", Role.INTEGRATION)
    assert gate.may_publish(who, "ha/discovery/status")
    assert gate.may_subscribe(who, "ha/discovery/#")
    assert not gate.may_publish(who, "homeassistant/status")
    assert not gate.may_subscribe(who, "homeassistant/#")


def test_the_rights_of_a_role_end_where_the_account_has_another(gate: AccountGate) -> None:
    command = "harvester/pi4/fan/cmd"
    assert gate.may_publish(Identity("ann", Role.OPERATOR), command)
    # As in a session of the store that is older than the account.
    former = Identity("vic", Role.OPERATOR)
    assert not gate.may_publish(former, command)
    assert not gate.may_subscribe(former, "harvester/#")
    assert not gate.may_receive(former, "harvester/pi4/status")
