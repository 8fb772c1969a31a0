"""What root believes: a file of its own, and of an agent only that it asks."""

from pathlib import Path

import pytest

from bus.errors import MisconfiguredError
from bus.install import update_request
from harvester.install.system import System
from harvester.update import trust
from harvester.update.service import has_hub, take_requests

LOGIN = (
    b'username = "pi4"\ntoken = "t"\nurl = "mqtts://192.168.7.10:8883"\nca_certificate = "PEM"\n'
)


@pytest.fixture
def system(tmp_path: Path) -> System:
    (tmp_path / "etc/harvester").mkdir(parents=True)
    return System(root=tmp_path)


def write(system: System, content: bytes, mode: int = 0o600) -> None:
    path = system.path(trust.FILE)
    path.write_bytes(content)
    path.chmod(mode)


def test_the_first_login_names_the_hub_without_its_token(system: System) -> None:
    content = trust.content_of(LOGIN)
    assert content is not None
    assert b"token" not in content
    write(system, content)
    assert trust.load(system) == trust.UpdateHub(host="192.168.7.10", ca_certificate="PEM")


def test_a_login_without_tls_names_no_hub() -> None:
    assert trust.content_of(b'username = "pi4"\ntoken = "t"\nurl = "mqtt://h:1883"\n') is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_change_is_not_believed(mode: int, system: System) -> None:
    write(system, trust.content_of(LOGIN) or b"", mode)
    with pytest.raises(MisconfiguredError, match="others may change"):
        trust.load(system)


def test_a_link_to_a_file_elsewhere_is_not_believed(system: System, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_bytes(trust.content_of(LOGIN) or b"")
    system.path(trust.FILE).symlink_to(other)
    with pytest.raises(MisconfiguredError):
        trust.load(system)


def test_a_missing_file_says_how_to_make_it(system: System) -> None:
    with pytest.raises(MisconfiguredError, match="harvester install node --credentials"):
        trust.load(system)


def test_a_request_counts_whatever_it_is(system: System, tmp_path: Path) -> None:
    assert not take_requests(system)
    secret = tmp_path / "secret"
    secret.write_text("kept")
    for number, make in enumerate(("file", "link", "folder")):
        folder = tmp_path / f"run/harvester-agent-{number}"
        folder.mkdir(parents=True)
        path = folder / update_request.FILE_NAME
        if make == "file":
            update_request.make(folder)
        elif make == "link":
            path.symlink_to(secret)
        else:
            path.mkdir()
    assert take_requests(system)
    assert not take_requests(system)
    assert secret.read_text() == "kept"


def test_a_machine_without_a_login_needs_no_hub(system: System) -> None:
    assert has_hub(system)
    system.path(trust.CREDENTIALS).write_bytes(LOGIN.replace(b"192.168.7.10:8883", b"127.0.0.1:1"))
    assert not has_hub(system)
