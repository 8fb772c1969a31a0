"""The hub that a node takes updates from: its address and its CA, in a file of root's.

The credentials belong to the service's user. An agent that was taken over could change them, so
root believes this file alone, which the installation made of the first credentials.
"""

import stat

import msgspec
import tomli_w

from bus.client.credentials import Credentials
from bus.config import broker_url
from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.web_table import WebConfig
from bus.errors import MisconfiguredError
from bus.files import toml_text
from bus.install.update_request import TRUST_FILE
from harvester.install.system import System

FILE = TRUST_FILE
CREDENTIALS = f"/etc/harvester/{CREDENTIALS_NAME}"
_AGAIN = "run `harvester install node --credentials FILE` with a login that `harvester enroll` made"
_HEAD = (
    "# The hub that this machine takes updates from. Root's: nobody else may change it, as what\n"
    "# comes from there runs as root. `port` is join_port in [web] of the hub.\n\n"
)


class UpdateHub(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host and port of the hub's listener for machines, and the certificate of its CA (PEM)."""

    host: str
    ca_certificate: str
    port: int = WebConfig().join_port


def content_of(credentials: bytes, port: int = WebConfig().join_port) -> bytes | None:
    """Return the file for a login; None where that names no hub with a CA.

    Raises MisconfiguredError where it is no login.
    """
    try:
        found = msgspec.convert(toml_text.parse(credentials), Credentials)
    except (msgspec.ValidationError, ValueError) as e:
        raise MisconfiguredError("found no login, expected what `harvester enroll` wrote") from e
    if not found.url or not found.ca_certificate:
        return None
    host, _ = broker_url.parse(found.url, "url").address
    made = UpdateHub(host=host, ca_certificate=found.ca_certificate, port=port)
    text = tomli_w.dumps(msgspec.to_builtins(made), multiline_strings=True)
    return (_HEAD + text).encode()


def load(system: System) -> UpdateHub:
    """Return the hub. Raises MisconfiguredError where the file is missing, or not root's."""
    path = system.path(FILE)
    try:
        with path.open("rb") as file:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise MisconfiguredError(f"{FILE}: found a file that others may change; {_AGAIN}")
            if status.st_uid != system.root.stat().st_uid:
                raise MisconfiguredError(f"{FILE}: expected root to be its owner; {_AGAIN}")
            return msgspec.convert(toml_text.parse(file.read()), UpdateHub)
    except FileNotFoundError as e:
        raise MisconfiguredError(f"{FILE}: found no hub to take updates from; {_AGAIN}") from e
    except (msgspec.ValidationError, ValueError) as e:
        raise MisconfiguredError(f"{FILE}: {e}; {_AGAIN}") from e


def login(system: System) -> Credentials:
    """Return the node's account. It proves who asks, and is no reason to believe anybody."""
    try:
        text = toml_text.parse(system.path(CREDENTIALS).read_bytes())
        return msgspec.convert(text, Credentials)
    except (OSError, msgspec.ValidationError, ValueError) as e:
        raise MisconfiguredError(f"{CREDENTIALS}: found no login of this node") from e
