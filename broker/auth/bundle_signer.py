"""Signer of bundles: the hub's private Ed25519 key, made once, in its state directory."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.config.hub_files import BUNDLE_KEY_NAME, BUNDLE_PUBLIC_NAME
from bus.errors import MisconfiguredError
from bus.files import private_file


class BundleSigner:
    """Signs with the key. `repr` omits it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def load(state_dir: Path) -> BundleSigner:
    """Return the hub's signer; its key is made where there is none. Raises MisconfiguredError."""
    path = state_dir / BUNDLE_KEY_NAME
    with private_file.locked(path):
        try:
            found = BundleSigner(_read(path))
        except FileNotFoundError:
            found = BundleSigner(_make(path))
        # Also after a restore, or where a person put another key there.
        private_file.write(state_dir / BUNDLE_PUBLIC_NAME, found.public.hex().encode())
    return found


def _read(path: Path) -> Ed25519PrivateKey:
    pem = private_file.read(path)
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise MisconfiguredError(
            f"{path}: found no Ed25519 key in PEM; restore it from a backup, or remove it and "
            "enroll the nodes again"
        )
    return key


def _make(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private_file.write(path, pem)
    return key
