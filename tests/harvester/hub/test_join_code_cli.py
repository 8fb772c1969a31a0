"""`harvester join-code`: the line, its options, and why there is none."""

import threading
from pathlib import Path

import pytest

from broker.auth import accounts
from bus.contract.join import Attached
from bus.listen import listen
from hub_app.nodes.join import codes
from tests.harvester.hub.test_access_cli import refusal, run
from tests.support import HOST, WAIT_S, free_port, wait_until

STATE = Path("state")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # No hub runs in most of these tests.
    monkeypatch.setattr("harvester.hub.join_code_cli._OPENS_S", 0)
    (tmp_path / "hub.toml").write_text(
        '[cluster]\nnode_id = "revpi"\nrole = "hub"\n[storage]\nstate_dir = "state"\n'
        "[web]\njoin_port = 9443\n"
    )
    return tmp_path


@pytest.fixture
def site(hub: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A hub with certificates."""
    run("tls", "init", "--name", "10.1.2.3")
    capsys.readouterr()
    return hub


def test_the_line_has_the_pin_the_port_and_the_code(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("join-code", "pi4", "--host", "10.1.2.3", "--area", "Garden", "--dht22", "4")
    text = capsys.readouterr().out
    line = next(each.strip() for each in text.splitlines() if "curl" in each)
    assert line.startswith("curl -sSk --pinnedpubkey 'sha256//")
    url, *shell = line.split("' ")[1].split()
    assert shell == ["|", "sudo", "sh"]
    assert url.startswith("https://10.1.2.3:9443/join/")
    (made,) = codes.load(site / STATE / codes.FILE_NAME)
    assert made == codes.find(site / STATE / codes.FILE_NAME, url.rpartition("/")[2])
    assert (made.node, made.area, made.attached) == ("pi4", "Garden", Attached(dht22=[4]))


def test_the_command_waits_until_the_hub_has_opened_the_port(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harvester.hub.join_code_cli._OPENS_S", WAIT_S)
    port, opened = free_port(), []

    def open_port() -> None:
        wait_until(lambda: bool(codes.load(site / STATE / codes.FILE_NAME)))
        opened.append(listen(HOST, port, key="web.join_port"))

    hub = threading.Thread(target=open_port)
    hub.start()
    keys = (f"web.join_listen={HOST}", f"web.join_port={port}")
    run("join-code", "pi4", *(part for key in keys for part in ("--set", key)))
    assert opened
    hub.join()
    opened[0].close()
    assert capsys.readouterr().err == ""


def test_without_a_running_hub_the_command_names_the_port_that_does_not_answer(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    keys = (f"web.join_listen={HOST}", f"web.join_port={port}")
    run("join-code", "pi4", *(part for key in keys for part in ("--set", key)))
    assert f"Port {port} of this hub does not answer" in capsys.readouterr().err


def test_a_new_code_for_a_node_ends_the_one_before(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("join-code", "pi4")
    first = codes.load(site / STATE / codes.FILE_NAME)
    run("join-code", "pi4")
    assert len(codes.load(site / STATE / codes.FILE_NAME)) == 1
    assert codes.load(site / STATE / codes.FILE_NAME) != first
    run("join-code", "pi4", "--revoke")
    run("join-code", "pi4", "--revoke")
    assert codes.load(site / STATE / codes.FILE_NAME) == ()
    assert capsys.readouterr().out.endswith("pi4: code revoked\npi4: found no code\n")


def test_a_login_that_exists_is_replaced_when_asked(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.enroll(site / STATE / "accounts.json", "pi4")
    assert "harvester join-code pi4 --replace" in refusal(capsys, "join-code", "pi4")
    run("join-code", "pi4", "--replace")
    (made,) = codes.load(site / STATE / codes.FILE_NAME)
    assert made.replace
    assert "found no login of attic" in refusal(capsys, "join-code", "attic", "--replace")


def test_a_hub_without_certificates_says_how_to_get_them(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "run `harvester tls init`" in refusal(capsys, "join-code", "pi4")
    assert not (hub / STATE / codes.FILE_NAME).exists()


@pytest.mark.parametrize("node", ["revpi", "local", "Pi 4"])
def test_a_name_that_no_node_can_have_gets_no_code(
    site: Path, node: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected" in refusal(capsys, "join-code", node)
    assert not (site / STATE / codes.FILE_NAME).exists()
