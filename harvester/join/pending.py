"""Join that has begun: token and nonce, kept until the node is set up, so that it can be repeated.

The token is made here and never sent; the hub has its hashes.
"""

import secrets
from pathlib import Path

import msgspec

from broker.auth import tokens
from bus.contract.join import NONCE_BYTES
from bus.files import private_file, private_json

FILE_NAME = "join.json"


class Pending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Secrets of one join, of the code with that hash. `repr` omits them."""

    code_sha256: str
    token: str
    mosquitto: str
    nonce: str

    def __repr__(self) -> str:
        return "Pending(...)"


def load_or_make(folder: Path, code_sha256: str) -> Pending:
    """Return what an earlier run with this code made, else new secrets, which are on the disk."""
    path = folder / FILE_NAME
    found = _load(path)
    if found is not None and found.code_sha256 == code_sha256:
        return found
    token = tokens.new_token()
    made = Pending(code_sha256, token, tokens.mosquitto_hash(token), secrets.token_hex(NONCE_BYTES))
    private_file.write(path, msgspec.json.encode(made))
    return made


def _load(path: Path) -> Pending | None:
    return private_json.load(
        path, Pending, None, what="join", remedy="remove it and make a new join code"
    )
