"""The commands that make logins and certificates, as a person types them on the hub."""

import io
import stat
from pathlib import Path

import pytest

from broker.auth import accounts, certificates, tokens
from broker.auth.gate import Role
from bus.client import credentials
from harvester import cli


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub.toml").write_text(
        '[cluster]\nnode_id = "revpi"\nrole = "hub"\n[storage]\nstate_dir = "state"\n'
    )
    return tmp_path


def run(*arguments: str) -> None:
    cli.main([*arguments, "--config", "hub.toml"])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_enrolling_makes_one_file_that_says_where_to_go(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("enroll", "pi4", "--host", "10.1.2.3")
    file = hub / "credentials-pi4.toml"
    found = credentials.load(file)
    assert found is not None
    assert (found.username, found.url) == ("pi4", "mqtt://10.1.2.3:1883")
    assert found.token not in capsys.readouterr().out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_with_certificates_the_file_brings_all_that_the_node_needs(hub: Path) -> None:
    run("tls", "init", "--name", "hub.lan")
    run("enroll", "pi4", "--certificate")
    found = credentials.load(hub / "credentials-pi4.toml")
    assert found is not None
    assert found.url == "mqtts://hub.lan:8883"
    assert found.ca_certificate == (hub / "state" / "tls" / "ca.pem").read_text()
    assert "BEGIN CERTIFICATE" in found.certificate
    assert "BEGIN PRIVATE KEY" in found.key
    for name in ("ca.key", "hub.key"):
        assert stat.S_IMODE((hub / "state" / "tls" / name).stat().st_mode) == 0o600


def test_the_certificate_has_the_names_of_a_page_over_https(hub: Path) -> None:
    file = hub / "hub.toml"
    file.write_text(file.read_text() + '[web]\ntls = true\nnames = ["air.example"]\n')
    run("tls", "init")
    found = certificates.validity(hub / "state" / "tls" / "hub.pem")
    assert "air.example" in found.names


def test_a_password_comes_from_stdin_and_is_no_argument(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    run("passwd", "ann", "--role", "operator")
    assert capsys.readouterr().out == "ann may log in as operator\n"
    assert accounts.load(hub / "state" / "accounts.json").people["ann"].role is Role.OPERATOR
    with pytest.raises(SystemExit):
        run("passwd", "ann", "correct horse")
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    run("passwd", "ha", "--role", "integration")
    assert capsys.readouterr().out == "ha may connect to the broker as integration\n"
    assert accounts.load(hub / "state" / "accounts.json").people["ha"].role is Role.INTEGRATION


def test_a_device_is_told_which_topics_it_may_use(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def passwd(*options: str) -> list[str]:
        monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
        run("passwd", "plug", *options)
        return capsys.readouterr().out.splitlines()

    roots = ("--set", 'broker.open_roots=["tele", "cmnd"]')
    none = "it may use no topic: open_roots of [broker] names none of those that it asks for"
    assert passwd("--role", "device") == ["plug may connect to the broker as device", none]
    assert passwd("--role", "device", *roots)[1] == (
        "topics of other devices that it may use: tele/plug/# cmnd/plug/#"
    )
    assert passwd("--role", "device", "--topics", "tele/%c/#", "x/#", *roots)[1] == (
        "topics of other devices that it may use: tele/%c/#"
    )
    found = accounts.load(hub / "state" / "accounts.json").people["plug"]
    assert found.topics == ("tele/%c/#", "x/#")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("enroll",), "expected a node's id, or --list"),
        (("enroll", "Pi 4", "--host", "x"), "found 'Pi 4', expected a name for a node"),
        (("enroll", "pi4", "--revoke"), "found no node 'pi4'"),
        (("enroll", "pi4", "--host", "x", "--certificate"), "`harvester tls init` makes it"),
        (("node", "remove", "Pi 4"), "found 'Pi 4', expected a name"),
        (("node", "remove", "revpi"), "found revpi, this hub's own node"),
        (("node", "remove", "pi4", "--sensor", "a/b"), "found 'a/b', expected a name"),
        (("node", "rename", "pi4", "pi4", "--host", "x"), "expected two names"),
        (("node", "rename", "pi4", "revpi", "--host", "x"), "expected two names"),
        (("passwd", "ann", "--remove"), "found no person 'ann'"),
        (("passwd", "plug", "--role", "device", "--topics", "a#"), "plug: found the topics 'a#'"),
        (("passwd", "local"), "expected a name for a person"),
        (("tls", "renew"), "found no certificate"),
        (("tls", "init", "--name", "a b"), "found 'a b', expected a host name or an address"),
        (("enroll", "pi4", "--set", "cluster.role=spoke"), "expected the hub's file"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_account(
    hub: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    error = refusal(capsys, *arguments)
    assert said in error
    assert error.count("\n") == 1
    assert accounts.load(hub / "state" / "accounts.json") == accounts.Accounts()


def test_a_token_is_shown_once_listed_without_it_and_revoked(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("token", "add", "prometheus")
    token = capsys.readouterr().out.strip()
    assert tokens.is_token(token.encode())
    file = hub / "state" / "accounts.json"
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run("token", "add", "robot", "--role", "operator")
    capsys.readouterr()
    run("token", "list")
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in listed] == [
        ["prometheus", "viewer"],
        ["robot", "operator"],
    ]
    assert all("never expires  not used yet" in line for line in listed)
    run("token", "add", "guest", "--days", "7")
    used_ms = accounts.load(file).tokens["guest"].since_ms
    file.with_name("token_uses.json").write_text(f'{{"guest": {used_ms}, "robot": 1}}')
    capsys.readouterr()
    run("token", "list")
    guest, _, robot = capsys.readouterr().out.splitlines()
    assert "  expires 20" in guest
    assert "  last used 20" in guest
    # The use was that of an earlier token of this name.
    assert "not used yet" in robot
    run("token", "revoke", "guest")
    for days in ("0", "x", "-1", "3651"):
        with pytest.raises(SystemExit):
            run("token", "add", "guest", "--days", days)
    run("token", "revoke", "prometheus")
    assert list(accounts.load(file).tokens) == ["robot"]
    assert "found no token 'prometheus'" in refusal(capsys, "token", "revoke", "prometheus")


def test_removed_and_renamed_nodes_are_listed_and_lose_their_logins(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("node", "list")
    assert capsys.readouterr().out == "no nodes yet\n"
    for node in ("pi4", "pizero"):
        run("enroll", node, "--host", "10.1.2.3")
    run("node", "remove", "pizero", "--history")
    run("node", "rename", "pi4", "garden", "--host", "10.1.2.3")
    capsys.readouterr()
    run("node", "list")
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert listed == [["garden", "enrolled"], ["pi4", "removed"], ["pizero", "removed"]]
    assert list(accounts.load(hub / "state" / "accounts.json").nodes) == ["garden"]
    found = credentials.load(hub / "credentials-garden.toml")
    assert found is not None
    assert (found.username, found.url) == ("garden", "mqtt://10.1.2.3:1883")
    assert stat.S_IMODE((hub / "state" / "removals.json").stat().st_mode) == 0o600


def test_a_name_that_has_a_login_is_no_new_name(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for node in ("pi4", "garden"):
        run("enroll", node, "--host", "10.1.2.3")
    assert "found a login of garden" in refusal(
        capsys, "node", "rename", "pi4", "garden", "--host", "x"
    )
    assert set(accounts.load(hub / "state" / "accounts.json").nodes) == {"pi4", "garden"}
