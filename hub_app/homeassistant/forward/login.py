"""Login of the forwarder with Home Assistant's broker: URL, CA, and a file with the password."""

from pathlib import Path
from typing import Annotated

import msgspec

from bus.client.credentials import Connection
from bus.client.login import Login, tls_context
from bus.config.homeassistant_table import HomeAssistantConfig
from bus.errors import MisconfiguredError
from bus.files import private_file, toml_text

# MQTT 3.1.1 section 1.5.3.
_Text = Annotated[str, msgspec.Meta(max_length=65_535)]


class ForwarderCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of the credentials file. `repr` omits the password."""

    username: _Text
    password: _Text = ""

    def __repr__(self) -> str:
        return f"ForwarderCredentials({self.username!r})"


def connection(table: HomeAssistantConfig) -> Connection:
    """Return how to connect to the broker of `table`, as the files are now.

    Raises MisconfiguredError where a file is missing, wrong, or open to others.
    """
    url = table.broker_url
    file = Path(table.credentials_file)
    found = _credentials(file) if table.credentials_file else ForwarderCredentials("")
    login = Login(
        username=found.username, token=found.password, tls=url.tls, ca_pem=_ca(table.ca_file)
    )
    if url.tls:
        try:
            tls_context(login)
        except (OSError, ValueError) as e:
            raise MisconfiguredError(
                f"homeassistant.ca_file: found no usable certificate in {table.ca_file}: {e}"
            ) from e
    return Connection(url.addresses, login if url.tls or found.username else None, file)


def _credentials(file: Path) -> ForwarderCredentials:
    expected = 'expected a file, mode 0600, with username = "..." and password = "..."'
    try:
        fields = toml_text.parse(private_file.read(file))
    except FileNotFoundError as e:
        raise MisconfiguredError(f"{file}: found no such file; {expected}") from e
    except (ValueError, RecursionError) as e:
        # The text of the error may quote the password.
        raise MisconfiguredError(f"{file}: found no valid TOML; {expected}") from e
    try:
        return msgspec.convert(fields, ForwarderCredentials)
    except msgspec.ValidationError as e:
        unknown = sorted(set(fields) - set(ForwarderCredentials.__struct_fields__))
        raise MisconfiguredError(f"{file}: {_mistake(fields, unknown)}; {expected}") from e


def _mistake(fields: dict[str, object], unknown: list[str]) -> str:
    if unknown:
        return f"found the key {unknown[0]!r}"
    if "username" not in fields:
        return "found no username"
    return "found a value that is no text"


def _ca(file: str) -> str:
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError as e:
        raise MisconfiguredError(
            f"homeassistant.ca_file: {file}: {e.strerror}; expected a readable file"
        ) from e
    except UnicodeDecodeError as e:
        raise MisconfiguredError(
            f"homeassistant.ca_file: {file}: found no text, expected a certificate in PEM"
        ) from e
