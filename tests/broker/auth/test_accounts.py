"""Accounts and credentials files: modes, contents, and the errors for wrong ones."""

import multiprocessing
import stat
from pathlib import Path

import msgspec
import pytest

from broker.auth import accounts, enrolment, tokens
from broker.auth.accounts import Accounts, Machine, Person
from broker.auth.gate import Attempt, Role
from bus.client import credentials
from bus.client.credentials import Credentials
from bus.client.login import Login
from bus.config.config_file import dump
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import private_file
from tests.broker.auth.hub import hub_config

# The same in every process that collects these tests: it stands in their names.
TOKEN = "hvt_" + "Tk9_-" * 8 + "abc"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_its_owners_alone_from_the_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    private_file.write(path, b"1")
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    private_file.write(path, b"2")
    assert private_file.read(path) == b"2"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("found", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_secret_that_others_may_reach_is_refused(tmp_path: Path, found: int) -> None:
    path = tmp_path / "secret"
    path.write_text(TOKEN)
    path.chmod(found)
    with pytest.raises(MisconfiguredError) as caught:
        private_file.read(path)
    assert str(caught.value) == (
        f"{path}: found mode {found:04o}, expected 0600, as it holds a secret: chmod 600 {path}"
    )


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MisconfiguredError, match="cannot be written"):
        private_file.write(tmp_path / "file" / "secret", b"")


def _enroll(path: Path, node: str) -> None:
    accounts.enroll(path, node)


def test_programs_that_enroll_at_once_lose_no_account(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    names = [f"n{n}" for n in range(12)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(_enroll, [(path, name) for name in names])
    assert sorted(accounts.load(path).nodes) == sorted(names)
    assert mode(path) == 0o600


@pytest.mark.parametrize("name", ["local", "hub_app", "cmd", "Pi4", "pi/4", "", "a" * 65, "+", "#"])
def test_a_name_that_no_topic_holds_gets_no_account(tmp_path: Path, name: str) -> None:
    with pytest.raises(MisconfiguredError, match="expected a name for a"):
        accounts.enroll(tmp_path / "accounts.json", name)
    with pytest.raises(MisconfiguredError, match="expected a name for a"):
        accounts.set_password(tmp_path / "accounts.json", name, Role.VIEWER, "x")


def test_a_name_is_a_nodes_or_a_persons(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.enroll(path, "pi4")
    accounts.set_password(path, "ann", Role.VIEWER, "x")
    with pytest.raises(MisconfiguredError, match="pi4 is a node's account"):
        accounts.set_password(path, "pi4", Role.OPERATOR, "x")
    with pytest.raises(MisconfiguredError, match="ann is a person's account"):
        accounts.enroll(path, "ann")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"nodes": 1}',
        '{"x": {}}',
        '{"people": {"eve": {"role": "hub", "argon2": "", "mosquitto": "", "since_ms": 0}}}',
        "\udcff",
    ],
)
def test_a_file_that_holds_no_accounts_stops_the_hub(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.json"
    private_file.write(path, text.encode(errors="surrogateescape"))
    with pytest.raises(MisconfiguredError, match=f"{path}: found no accounts"):
        accounts.load(path)


def test_the_file_holds_nothing_that_lets_anyone_in(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    token = accounts.enroll(path, "pi4")
    accounts.set_password(path, "ann", Role.OPERATOR, "correct horse")
    text = path.read_text()
    assert token not in text
    assert "correct horse" not in text
    assert tokens.hash_token(token.encode()) in text


def test_a_token_has_256_bits_and_a_shape() -> None:
    assert tokens.is_token(TOKEN.encode())
    assert len({tokens.new_token() for _ in range(1000)}) == 1000
    for other in (b"", b"hvt_", TOKEN.encode()[:-1], TOKEN.encode() + b"x", b"\xff" * 47):
        assert not tokens.is_token(other)


def test_no_text_of_anything_holds_a_secret(tmp_path: Path) -> None:
    config = hub_config(tmp_path, broker__credentials_file=tmp_path / "c.toml")
    credentials.save(tmp_path / "c.toml", Credentials(username="revpi", token=TOKEN, key=TOKEN))
    connection = credentials.of_node(config, {})
    machine = Machine(TOKEN, TOKEN, 0)
    person = Person(Role.VIEWER, TOKEN, TOKEN, 0)
    login = Login(username="pi4", token=TOKEN, key_pem=TOKEN)
    shown = [
        *(credentials.load(tmp_path / "c.toml"), connection, login, machine, person),
        Accounts({"pi4": machine}, {"ann": person}, machine),
        Attempt(client_id="c", username="u", password=TOKEN.encode(), address="", is_local=False),
        dump(config),
    ]
    assert TOKEN not in repr(shown)
    assert TOKEN not in " ".join(map(str, shown))


def test_a_refused_client_is_named_in_words() -> None:
    attempt = Attempt(client_id="c", username=None, password=None, address="::1", is_local=True)
    assert repr(attempt) == "client 'c', no account, from ::1"
    named = msgspec.structs.replace(attempt, username="pi4")
    assert repr(named) == "client 'c', account 'pi4', from ::1"


def test_credentials_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    made = Credentials(
        username="pi4",
        token=TOKEN,
        url="mqtts://hub:8883",
        ca_certificate="-----BEGIN\nx\n",
        certificate="a\n",
        key='"""\\\n',
    )
    credentials.save(path, made)
    assert credentials.load(path) == made
    assert mode(path) == 0o600


def spoke(tmp_path: Path, text: str, url: str = "mqtt://127.0.0.1:1") -> Config:
    path = tmp_path / "credentials.toml"
    private_file.write(path, text.encode())
    return hub_config(
        tmp_path,
        cluster__role="spoke",
        cluster__node_id="pi4",
        broker__url=url,
        broker__credentials_file=path,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'username = "pi5"\ntoken = "{TOKEN}"', "found the credentials of 'pi5', expected those"),
        (f'username = "pi4"\ntoken = "{TOKEN}', "found no valid TOML"),
        (f'username = "pi4"\ntoken = ["{TOKEN}"]', "Expected `str`, got `array` - at `$.token`"),
        (f'username = "pi4"\ntoken = "{TOKEN}"\nx = 1', "contains unknown field `x`"),
        ('username = "pi4"', "missing required field `token`"),
        (
            f'username = "pi4"\ntoken = "{TOKEN}"\nca_certificate = "x"',
            "would send the token of",
        ),
    ],
)
def test_wrong_credentials_are_one_line_without_the_secret(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        credentials.of_node(spoke(tmp_path, text), {})
    assert said in str(caught.value)
    assert str(tmp_path / "credentials.toml") in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_credentials_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = f'\ufeffusername = "pi4"\ntoken = "{TOKEN}"'
    login = credentials.of_node(spoke(tmp_path, text), {}).login
    assert login is not None
    assert login.token == TOKEN


def test_credentials_without_a_usable_ca_are_refused(tmp_path: Path) -> None:
    text = f'username = "pi4"\ntoken = "{TOKEN}"\nca_certificate = "x"'
    with pytest.raises(MisconfiguredError, match="found no usable certificate or key"):
        credentials.of_node(spoke(tmp_path, text, "mqtts://127.0.0.1:1"), {})


@pytest.mark.parametrize(
    ("configured", "expected"),
    [("", ("hub.lan", 8884)), ("mqtt://127.0.0.1", ("127.0.0.1", 1883))],
    ids=["the file says where", "the configuration goes first"],
)
def test_where_the_broker_is(tmp_path: Path, configured: str, expected: tuple[str, int]) -> None:
    text = f'username = "pi4"\ntoken = "{TOKEN}"\nurl = "mqtts://hub.lan:8884"'
    found = credentials.of_node(spoke(tmp_path, text, configured), {})
    assert found.address == expected
    assert found.login is not None
    assert found.login.tls is (not configured)


def test_without_a_file_a_node_connects_without_a_login(tmp_path: Path) -> None:
    config = spoke(tmp_path, "")
    (tmp_path / "credentials.toml").unlink()
    found = credentials.of_node(config, {})
    assert found.login is None
    assert found.advice("pi4") == (
        f"there is no {tmp_path}/credentials.toml: run `sudo harvester enroll pi4` on the hub and "
        "put the file it makes there"
    )


def test_credentials_of_the_hubs_node_are_made_once_and_again_when_they_fail(
    tmp_path: Path,
) -> None:
    path, file = tmp_path / "accounts.json", tmp_path / "credentials.toml"
    enrolment.ensure(path, "revpi", file)
    first = credentials.load(file)
    enrolment.ensure(path, "revpi", file)
    assert credentials.load(file) == first
    accounts.enroll(path, "revpi")
    enrolment.ensure(path, "revpi", file)
    second = credentials.load(file)
    assert second is not None
    assert second != first
    enrolment.ensure_hub(path, tmp_path / "hub_app.toml")
    hub = credentials.load(tmp_path / "hub_app.toml")
    assert hub is not None
    assert hub.username == "hub_app"
