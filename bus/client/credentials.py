"""Credentials file of a node: user name, token, certificates, URL of the broker, key of bundles.

`harvester enroll` writes it on the hub, a person copies it to the node.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w

from bus.client.login import Login, tls_context
from bus.config import broker_url, hub_files
from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import private_file, toml_text

# The credentials of the hub for an external broker.
HUB_FILE_NAME = "hub_app.toml"

_HEAD = "# The login of {} with the broker. It is a secret: mode 0600, in no repository.\n\n"


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of the file. `url` empty: the broker is at `broker.url`.

    The certificates and the key are PEM. `bundle_key` is the public key of the hub's signatures of
    bundles, in hexadecimal; a node without one takes none. `repr` omits the token and the key.
    """

    username: str
    token: str
    url: str = ""
    ca_certificate: str = ""
    certificate: str = ""
    key: str = ""
    bundle_key: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, {self.url!r})"


class Connection(msgspec.Struct, frozen=True):
    """Addresses of the broker, in their order, and login of a program, both from `file`."""

    addresses: tuple[tuple[str, int], ...]
    login: Login | None
    file: Path
    # Public key of the hub's signatures of bundles; empty: the node takes none.
    bundle_key: bytes = b""

    @property
    def address(self) -> tuple[str, int]:
        """The first of them."""
        return self.addresses[0]

    @property
    def is_tls(self) -> bool:
        return self.login is not None and self.login.tls

    def advice(self, node: str) -> str:
        """Return advice for a person when the broker refuses the login."""
        enroll = f"run `sudo harvester enroll {node}` on the hub and put the file it makes there"
        if self.login is None:
            return f"there is no {self.file}: {enroll}"
        return (
            f"{self.file} is no longer valid: where no other machine has become {node} "
            f"meanwhile, {enroll}"
        )


def path_for(config: Config, environment: Mapping[str, str]) -> Path:
    """Return the node's credentials file: configured, or on the hub in the hub's state directory.

    There, hub-app itself puts the credentials of the hub's own node.
    """
    if config.cluster.role == "hub" and not config.broker.credentials_file:
        return hub_files.of(config, environment).login_dir / CREDENTIALS_NAME
    return Path(config.broker.credentials_file or CREDENTIALS_NAME).absolute()


def connection(config: Config, file: Path, username: str) -> Connection:
    """Return the connection of `username` with the credentials in `file`, which may be absent.

    Raises MisconfiguredError where the file is open to others, wrong, or somebody else's.
    """
    found = load(file)
    if found is not None and found.username != username:
        raise MisconfiguredError(
            f"{file}: found the credentials of {found.username!r}, expected those of {username!r}"
        )
    where, place = _where(config, found)
    url = broker_url.parse(where, place)
    login = _login(found, tls=url.tls)
    _check_trust(file, found, login, where)
    key = bytes.fromhex(found.bundle_key) if found else b""
    return Connection(url.addresses, login, file, key)


def check_secrecy(before: Connection, now: Connection) -> None:
    """Raise MisconfiguredError where a token that was for TLS would be sent without."""
    if before.login is None or now.login is None or not before.is_tls or now.is_tls:
        return
    if before.login.token and before.login.token == now.login.token:
        raise MisconfiguredError(
            f"{now.file}: found a broker without TLS at {now.address[0]}:{now.address[1]} for a "
            "token that was used with TLS; expected a new token or an mqtts:// URL"
        )


def load(file: Path) -> Credentials | None:
    """Return what the file holds, or None where there is none.

    Raises MisconfiguredError, in which nothing secret stands.
    """
    try:
        return msgspec.convert(toml_text.parse(private_file.read(file)), Credentials)
    except FileNotFoundError:
        return None
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{file}: {e}; expected what `harvester enroll` writes") from e
    except (ValueError, RecursionError):
        # The text of these errors quotes the file.
        raise MisconfiguredError(
            f"{file}: found no valid TOML in UTF-8, expected what `harvester enroll` writes"
        ) from None


def save(file: Path, credentials: Credentials) -> None:
    """Write the file, closed to others. Raises MisconfiguredError where it cannot be written."""
    private_file.write(file, encode(credentials))


def encode(credentials: Credentials) -> bytes:
    """Return the content of the file."""
    keys = {name: text for name, text in msgspec.to_builtins(credentials).items() if text}
    text = _HEAD.format(credentials.username) + tomli_w.dumps(keys, multiline_strings=True)
    return text.encode()


def _where(config: Config, found: Credentials | None) -> tuple[str, str]:
    """Return the broker's URL and the key it stands at: what a person configured goes first."""
    if not config.embeds_broker and not config.broker.url and found is not None and found.url:
        return found.url, "url"
    return config.broker_url, "broker.url"


def _login(found: Credentials | None, *, tls: bool) -> Login | None:
    if found is None:
        return Login(tls=True) if tls else None
    return Login(
        username=found.username,
        token=found.token,
        tls=tls,
        ca_pem=found.ca_certificate,
        certificate_pem=found.certificate,
        key_pem=found.key,
    )


def _check_trust(file: Path, found: Credentials | None, login: Login | None, where: str) -> None:
    if found is not None and found.ca_certificate and login is not None and not login.tls:
        raise MisconfiguredError(
            f"broker.url: found {where!r}, which would send the token of {file} in clear; "
            "expected mqtts://, as the file holds a CA certificate"
        )
    if login is not None and login.tls:
        try:
            tls_context(login)
        except (OSError, ValueError) as e:
            raise MisconfiguredError(f"{file}: found no usable certificate or key: {e}") from e


def of_node(config: Config, environment: Mapping[str, str] | None = None) -> Connection:
    """Return how the node of `config` connects; see `connection`."""
    path = path_for(config, os.environ if environment is None else environment)
    return connection(config, path, config.cluster.node_id)
