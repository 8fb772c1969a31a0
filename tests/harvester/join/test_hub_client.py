"""HTTPS client of a join: believes the CA of the script alone, and repeats the hub's sentences."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.auth import certificates, tokens
from broker.auth.server_tls import CA_NAME
from bus.contract.join import JoinRequest
from bus.errors import MisconfiguredError, UnavailableError
from harvester import cli
from harvester.install import distributions
from harvester.join.hub_client import JoinClient
from tests.hub_app.nodes.join.site import Site, body, running_site
from tests.support import HOST, free_port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("join-client")) as made:
        yield made


def ca(site: Site) -> Path:
    return site.hub.state / "tls" / CA_NAME


def client(site: Site, code: str) -> JoinClient:
    return JoinClient(site.url, code, ca(site).read_text())


def request() -> JoinRequest:
    return JoinRequest(**{**body(tokens.new_token()), "found": []})  # type: ignore[arg-type]


def test_a_machine_gets_its_login_and_the_state(site: Site) -> None:
    machine = client(site, site.code("client"))
    assert machine.status().state == "waiting"
    answer = machine.join(request())
    assert (answer.node, answer.ca_certificate) == ("client", ca(site).read_text())
    assert machine.status().state == "joined"


def test_a_refusal_is_the_sentence_of_the_hub(site: Site) -> None:
    machine = client(site, site.code("taken"))
    machine.join(request())
    with pytest.raises(MisconfiguredError, match="the hub refused: a machine has used"):
        machine.join(JoinRequest(**{**body("x"), "nonce": "1" * 32}))  # type: ignore[arg-type]


def test_a_hub_of_another_ca_gets_nothing(site: Site, tmp_path: Path) -> None:
    certificates.init(tmp_path / "tls", [HOST], dt.datetime.now(dt.UTC))
    stranger = JoinClient(site.url, site.code("stranger"), (tmp_path / "tls" / CA_NAME).read_text())
    with pytest.raises(UnavailableError, match="certificate verify failed"):
        stranger.status()


def test_a_hub_that_does_not_answer_is_unavailable(site: Site) -> None:
    absent = JoinClient(f"https://{HOST}:{free_port()}", "a" * 26, ca(site).read_text())
    with pytest.raises(UnavailableError, match="no answer of the hub"):
        absent.status()


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"node": "\xff"}'])
def test_an_answer_that_is_something_else_is_an_error(
    site: Site, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = client(site, "a" * 26)
    monkeypatch.setattr(machine, "_ask", lambda *_: answer)
    for ask in (machine.status, lambda: machine.join(request())):
        with pytest.raises(UnavailableError, match="the hub's answer cannot be read"):
            ask()


@pytest.mark.parametrize("url", [f"http://{HOST}:1", "https://", "hub"])
def test_a_hub_is_asked_over_https_alone(site: Site, url: str) -> None:
    with pytest.raises(MisconfiguredError, match="expected https://HOST:PORT"):
        JoinClient(url, "a" * 26, ca(site).read_text())


def test_a_dry_run_prints_every_step_and_leaves_the_code(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A clone is no installed wheel, whose files would be copied.
    monkeypatch.setattr(distributions, "of_program", list)
    monkeypatch.setenv("HARVESTER_JOIN_CODE", site.code("dry-run"))
    words = ["--node", "dry-run", "--ca", str(ca(site)), "--state", str(tmp_path / "state")]
    cli.main(["join", site.url, *words, "--dry-run", "--dht22", "4"])
    text = capsys.readouterr().out
    assert "would do login of dry-run at the hub" in text
    for step in ("environment", "user harvester", "configuration /etc", "login /etc", "start now"):
        assert f"would do {step}" in text
    assert not (tmp_path / "state").exists()
    assert site.state("dry-run") == "waiting"
