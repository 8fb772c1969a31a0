"""The hub's key of bundles: made once, private, and public at the nodes with their logins."""

import stat
from pathlib import Path

import pytest

from broker.auth import bundle_key, bundle_signer, enrolment
from bus.client import credentials
from bus.config.hub_files import BUNDLE_KEY_NAME, BUNDLE_PUBLIC_NAME
from bus.contract.plugin_file import ed25519
from bus.errors import MisconfiguredError


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    public = bundle_key.ensure(tmp_path)
    assert bundle_key.ensure(tmp_path) == public
    assert stat.S_IMODE((tmp_path / BUNDLE_KEY_NAME).stat().st_mode) == 0o600
    signer = bundle_signer.load(tmp_path)
    assert signer.public.hex() == public
    assert ed25519.verify(bytes.fromhex(public), b"words", signer.sign(b"words"))


def test_a_lost_public_key_is_made_again_from_the_private_one(tmp_path: Path) -> None:
    public = bundle_key.ensure(tmp_path)
    (tmp_path / BUNDLE_PUBLIC_NAME).unlink()
    assert bundle_key.ensure(tmp_path) == public


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    bundle_key.ensure(tmp_path)
    path = tmp_path / BUNDLE_KEY_NAME
    path.chmod(0o644)
    with pytest.raises(MisconfiguredError, match="found mode 0644"):
        bundle_signer.load(tmp_path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(MisconfiguredError, match="found no Ed25519 key"):
        bundle_signer.load(tmp_path)


def test_a_login_of_before_the_key_gets_it_and_keeps_its_token(tmp_path: Path) -> None:
    path, file = tmp_path / "accounts.json", tmp_path / "credentials.toml"
    enrolment.ensure(path, "revpi", file)
    first = credentials.load(file)
    assert first is not None
    assert first.bundle_key == bundle_key.ensure(tmp_path)
    file.write_text(file.read_text().replace(f'bundle_key = "{first.bundle_key}"\n', ""))
    enrolment.ensure(path, "revpi", file)
    assert credentials.load(file) == first
