"""Public key of the hub's signatures of bundles, which nodes get with their credentials.

It is in a file of its own, so that only a hub that signs loads `cryptography`.
"""

from pathlib import Path

from bus.config.hub_files import BUNDLE_KEY_NAME, BUNDLE_PUBLIC_NAME
from bus.files import private_file

_HEX_CHARS = 64


def ensure(state_dir: Path) -> str:
    """Return the public key in hexadecimal; the pair is made where there is none.

    Raises MisconfiguredError.
    """
    try:
        found = private_file.read(state_dir / BUNDLE_PUBLIC_NAME).decode(errors="replace").strip()
    except FileNotFoundError:
        found = ""
    if len(found) == _HEX_CHARS and (state_dir / BUNDLE_KEY_NAME).is_file():
        return found
    # It takes 7 MB.
    from broker.auth import bundle_signer  # noqa: PLC0415

    return bundle_signer.load(state_dir).public.hex()
