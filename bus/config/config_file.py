"""Reader of configuration files: finds the file, parses TOML, reports the first mistake."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from bus.config.broker_table import CREDENTIALS_NAME
from bus.config.settings import Config
from bus.contract.mistake import first_mistake, shown
from bus.errors import MisconfiguredError
from bus.files import toml_text

# Configurations of the services (deploy/*.service).
INSTALLED = Path("/etc/harvester")
# TOMLDecodeError and UnicodeDecodeError are ValueErrors, and so is what `int` says to 5000 digits;
# arrays nested beyond reason end in a RecursionError.
_NOT_TOML = (ValueError, RecursionError)


def find(role: str, directory: Path) -> Path | None:
    """Return the file for `role` as seen from `directory`, or None for the built-in defaults."""
    for candidate in (directory / "config", directory.parent / "config"):
        path = candidate / f"{role}.toml"
        if _is_file(path):
            return path
    return None


def _is_file(path: Path) -> bool:
    """Whether it is a file that this user can see: `sudo -u` begins in a folder of another user."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def find_installed(role: str, directory: Path) -> Path | None:
    """Return the file as `find` does, else that of this machine's services."""
    path = INSTALLED / f"{role}.toml"
    return find(role, directory) or (path if _is_file(path) else None)


def load(path: Path | None, overrides: Iterable[str] = (), *, role: str | None = None) -> Config:
    """Return the checked configuration of `path`, `overrides` ("table.key=value") laid over it.

    `role` is the node's, where the command line names it. Paths in the file are relative to the
    file. Raises MisconfiguredError, which names the file, the key, what was found and what is
    expected.
    """
    if path is None:
        return _checked({}, "built-in defaults", Path.cwd(), overrides, role)
    return _checked(_read(path), str(path), path.parent, overrides, role)


def load_bytes(data: bytes, path: Path, overrides: Iterable[str] = ()) -> Config:
    """Return the checked configuration in `data`, as if it were the content of `path`.

    Raises MisconfiguredError.
    """
    return _checked(_parsed(data, path), str(path), path.parent, overrides, None)


def _checked(
    tables: dict[str, Any],
    name: str,
    directory: Path,
    overrides: Iterable[str],
    role: str | None,
) -> Config:
    try:
        if role is not None:
            _set_role(tables, role)
        for override in overrides:
            _apply(tables, override)
        config = _with_credentials(msgspec.convert(tables, Config))
        return _resolve_paths(config, directory)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"{name}: {first_mistake(tables, Config) or e}") from e
    except MisconfiguredError as e:
        raise MisconfiguredError(f"{name}: {e}") from e


def dump(config: Config) -> str:
    """Return the effective configuration as TOML, secrets aside."""
    tables = _without_none(msgspec.to_builtins(config))
    # Some people will put the secret itself where its file is expected.
    tables["web"]["password"] = "(set)" if config.web.password else ""
    tables["notify"]["addresses_file"] = "(set)" if config.notify.addresses_file else ""
    return tomli_w.dumps(tables)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable TOML file") from e
    return _parsed(data, path)


def _parsed(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return toml_text.parse(data)
    except _NOT_TOML as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {_first_line(e)}") from e


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _apply(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *parents, last = key.split(".")
    if not equals or not all((*parents, last)):
        raise MisconfiguredError(f"--set: found {shown(override)}, expected table.key=value")
    table = tables
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise MisconfiguredError(f"--set {key}: {parent} is no table")
    table[last] = _toml_value(text)


def _set_role(tables: dict[str, Any], role: str) -> None:
    """Set the node's role, but never turn the file of one role into another's."""
    cluster = tables.setdefault("cluster", {})
    if isinstance(cluster, dict) and cluster.setdefault("role", role) != role:
        raise MisconfiguredError(
            f"cluster.role: found {shown(cluster['role'])}, expected {shown(role)}, as --role says"
        )


def _toml_value(text: str) -> Any:
    """Return `text` as a TOML value; what is none stands for itself, so words need no quotes."""
    try:
        found = tomllib.loads(f"value = {text}")
    except _NOT_TOML:
        return text
    return found["value"] if len(found) == 1 else text


def _with_credentials(config: Config) -> Config:
    """Return `config` with a spoke's credentials beside the file, where it names none."""
    if config.cluster.role == "hub" or config.broker.credentials_file:
        return config
    found = msgspec.structs.replace(config.broker, credentials_file=CREDENTIALS_NAME)
    return msgspec.structs.replace(config, broker=found)


def _resolve_paths(config: Config, directory: Path) -> Config:
    """Return `config` with its paths absolute; relative ones are relative to `directory`."""

    def resolved(table: str, *keys: str) -> msgspec.Struct:
        found: msgspec.Struct = getattr(config, table)
        paths = {key: _absolute(f"{table}.{key}", getattr(found, key), directory) for key in keys}
        return msgspec.structs.replace(found, **paths)

    return msgspec.structs.replace(
        config,
        broker=resolved("broker", "credentials_file", "tls_dir"),
        plugins=resolved("plugins", "directory"),
        hardware=resolved("hardware", "scenario", "record_file"),
        web=resolved("web", "password"),
        storage=resolved("storage", "state_dir", "cache_dir", "runtime_dir"),
        notify=resolved("notify", "addresses_file"),
        backup=resolved("backup", "directory"),
        homeassistant=resolved("homeassistant", "ca_file", "credentials_file"),
        fleet=resolved("fleet", "password_file"),
    )


def _absolute(key: str, text: str, directory: Path) -> str:
    try:
        return str((directory / Path(text).expanduser()).resolve()) if text else ""
    except (OSError, RuntimeError, ValueError) as e:
        raise MisconfiguredError(f"{key}: found {shown(text)}, expected a path: {e}") from e


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
