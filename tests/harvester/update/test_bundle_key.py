"""A node that was enrolled before hubs had a key gets it with its update, over root's TLS."""

import stat
from pathlib import Path

import pytest

from bus.client import credentials
from harvester.install.system import System
from harvester.update import bundle_key, trust

KEY = "ab" * 32
LOGIN = (
    b'username = "pi4"\ntoken = "secret"\nurl = "mqtts://192.168.7.10:8883"\n'
    b'ca_certificate = "PEM"\n'
)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return a machine with a login without a key, and the hub that it takes updates from."""
    made = System(root=tmp_path)
    (tmp_path / "etc/harvester").mkdir(parents=True)
    for name, content in ((trust.CREDENTIALS, LOGIN), (trust.FILE, trust.content_of(LOGIN) or b"")):
        made.path(name).write_bytes(content)
        made.path(name).chmod(0o600)
    return made


def test_a_login_without_a_key_gets_that_of_the_hub(system: System) -> None:
    assert bundle_key.take(system, KEY)
    path = system.path(trust.CREDENTIALS)
    found = credentials.load(path)
    assert found is not None
    assert (found.bundle_key, found.token, found.ca_certificate) == (KEY, "secret", "PEM")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("key", ["cd" * 32, ""])
def test_a_key_that_is_there_is_never_replaced(system: System, key: str) -> None:
    bundle_key.take(system, KEY)
    before = system.path(trust.CREDENTIALS).read_bytes()
    assert not bundle_key.take(system, key)
    assert system.path(trust.CREDENTIALS).read_bytes() == before


def test_a_login_of_another_hub_gets_no_key_of_this_one(system: System) -> None:
    path = system.path(trust.CREDENTIALS)
    path.write_bytes(LOGIN.replace(b'"PEM"', b'"OTHER"'))
    assert not bundle_key.take(system, KEY)
    assert b"bundle_key" not in path.read_bytes()


def test_a_hub_of_an_older_version_has_no_key_to_give(system: System) -> None:
    assert not bundle_key.take(system, "")
