"""Addresses of notifications: the file, its mistakes, and sending through the real apprise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bus.config.alarms_table import NotifyConfig
from bus.errors import MisconfiguredError
from harvester import cli
from hub_app.alarms import addresses
from hub_app.alarms.addresses import NotSentError
from hub_app.alarms.notices import Notice
from tests.hub_app.alarms.webhook import webhook
from tests.support import HOST, free_port

NOTICE = Notice("title", "body", "critical")


def written(path: Path, text: str, mode: int = 0o600) -> NotifyConfig:
    path.write_text(text)
    path.chmod(mode)
    return NotifyConfig(addresses_file=str(path))


def test_without_a_file_there_are_no_addresses() -> None:
    assert addresses.load(NotifyConfig()) == []


@pytest.mark.parametrize(
    ("text", "mode", "mistake"),
    [
        ("json://localhost", 0o644, "found mode 0644, expected 0600"),
        ("# none\n\n", 0o600, "found 0 addresses, expected 1 to 32"),
        ("json://a\nfoo://user:s3cr3t@host", 0o600, "line 2: found foo://..., expected an address"),
        ("my s3cr3t", 0o600, "line 1: found no address, expected an address"),
    ],
)
def test_a_mistake_in_the_file_is_named_without_its_secrets(
    text: str, mode: int, mistake: str, tmp_path: Path
) -> None:
    with pytest.raises(MisconfiguredError, match=mistake) as raised:
        addresses.load(written(tmp_path / "addresses", text, mode))
    assert str(tmp_path / "addresses") in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"none: not found, as notify.addresses_file"):
        addresses.load(NotifyConfig(addresses_file=str(tmp_path / "none")))


def test_without_apprise_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MisconfiguredError, match=r"apprise is not installed; run: .*\[notify\]"):
        addresses.load(written(tmp_path / "addresses", "json://localhost"))


def test_a_notification_arrives_through_apprise(tmp_path: Path) -> None:
    with webhook() as hook:
        hook.write_address(tmp_path / "addresses")
        (address,) = addresses.load(NotifyConfig(addresses_file=str(tmp_path / "addresses")))
        assert address.name == "json (line 3)"
        address.send(NOTICE)
    (taken,) = hook.taken
    assert (taken["title"], taken["message"], taken["type"]) == ("title", "body", "failure")


def test_a_service_that_refuses_or_is_not_there_is_an_error_without_secrets(
    tmp_path: Path,
) -> None:
    with webhook() as hook:
        hook.status = 500
        hook.write_address(tmp_path / "addresses")
        (refusing,) = addresses.load(NotifyConfig(addresses_file=str(tmp_path / "addresses")))
        with pytest.raises(NotSentError, match="500"):
            refusing.send(NOTICE)
    text = f"json://user:password@{HOST}:{free_port()}/secret-path"
    (absent,) = addresses.load(written(tmp_path / "addresses", text))
    with pytest.raises(NotSentError, match="onnection") as raised:
        absent.send(NOTICE)
    assert "secret-path" not in str(raised.value)
    assert "password" not in str(raised.value)


def test_notify_test_tells_what_came_of_each_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "addresses"
    config = tmp_path / "hub.toml"
    config.write_text('[cluster]\nrole = "hub"\n[notify]\naddresses_file = "addresses"\n')
    command = ["notify", "test", "--config", str(config)]
    with webhook() as hook:
        hook.write_address(file)
        cli.main(command)
        assert capsys.readouterr().out == "json (line 3): sent\n"
        assert hook.titles == ["HARVESTER: test"]
        hook.status = 500
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out.startswith("json (line 3): failed: ")
    assert told.err == "1 of 1 addresses failed\n"


def test_notify_test_without_addresses_is_misconfigured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text('[cluster]\nrole = "hub"\n')
    with pytest.raises(SystemExit) as ended:
        cli.main(["notify", "test", "--config", str(config)])
    assert ended.value.code == 2
    assert "notify.addresses_file: found nothing, expected a file" in capsys.readouterr().err


def test_the_hub_does_not_start_with_a_mistake_in_the_addresses(tmp_path: Path) -> None:
    settings = ("cluster.role=hub", f"notify.addresses_file={tmp_path / 'none'}")
    arguments = [part for setting in settings for part in ("--set", setting)]
    for check in (["--check"], []):
        ended = subprocess.run(
            [sys.executable, "-m", "hub_app.cli", "--config", os.devnull, *arguments, *check],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2
        assert "none: not found, as notify.addresses_file names it" in ended.stderr
