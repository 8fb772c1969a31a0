"""Reading a node's configuration: which file, its TOML, one clear line where it is wrong."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from broker.errors import MisconfiguredError
from broker.settings import Config

_PATH = re.compile(r" - at `\$?([^`]*)`$")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"^Object contains unknown field `([^`]*)`")


def find(role: str, directory: Path) -> Path | None:
    """Return the file for `role` as seen from `directory`, or None for the built-in defaults."""
    for candidate in (directory / "config", directory.parent / "config"):
        path = candidate / f"{role}.toml"
        if path.is_file():
            return path
    return None


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Return the checked configuration of `path`, `overrides` ("table.key=value") laid over it.

    Paths in the file are relative to the file. Raises MisconfiguredError, which names the file,
    the key, what was found and what is expected.
    """
    name = str(path) if path is not None else "built-in defaults"
    tables = _read(path) if path is not None else {}
    try:
        for override in overrides:
            _apply(tables, override)
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as e:
        cause = e.__cause__
        detail = str(cause) if isinstance(cause, MisconfiguredError) else _explain(str(e), tables)
        raise MisconfiguredError(f"{name}: {detail}") from e
    except MisconfiguredError as e:
        raise MisconfiguredError(f"{name}: {e}") from e
    return _resolve_paths(config, path.parent if path is not None else Path.cwd())


def dump(config: Config) -> str:
    """Return the effective configuration as TOML."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(config)))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a readable TOML file") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise MisconfiguredError(f"{path}: found no valid TOML: {e}") from e


def _apply(tables: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *parents, last = key.split(".")
    if not equals or not all((*parents, last)):
        raise MisconfiguredError(f"--set: found {override!r}, expected table.key=value")
    table = tables
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise MisconfiguredError(f"--set {key}: {parent} is no table")
    table[last] = _toml_value(text)


def _toml_value(text: str) -> Any:
    """Return `text` as a TOML value; what is none stands for itself, so words need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(message: str, tables: Mapping[str, Any]) -> str:
    """Turn msgspec's message into `key: found this, expected that`."""
    at = _PATH.search(message)
    reason = message[: at.start()] if at else message
    steps = [name or index for name, index in _STEP.findall(at.group(1))] if at else []
    unknown = _UNKNOWN.match(reason)
    if unknown:
        key = ".".join((*steps, unknown.group(1)))
        known = ", ".join(_known_keys(steps))
        return f"{key}: found an unknown key, expected one of {known}"
    found = _lookup(tables, steps)
    key = ".".join(steps)
    expected = reason.removeprefix("Expected ").split(", got ")[0]
    return f"{key}: found {found!r}, expected {expected}"


def _lookup(tables: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        if step == "...":
            return tables
        tables = tables[int(step) if isinstance(tables, list) else step]
    return tables


def _known_keys(steps: Iterable[str]) -> list[str]:
    """Return the keys of the table that `steps` leads to."""
    kind: Any = msgspec.inspect.type_info(Config)
    for step in steps:
        kind = _child(kind, step)
    return [field.encode_name for field in _struct(kind).fields]


def _child(kind: Any, step: str) -> Any:
    if isinstance(kind, msgspec.inspect.DictType):
        return kind.value_type
    if isinstance(kind, msgspec.inspect.ListType):
        return kind.item_type
    return next(field.type for field in _struct(kind).fields if field.encode_name == step)


def _struct(kind: Any) -> msgspec.inspect.StructType:
    options = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return next(option for option in options if isinstance(option, msgspec.inspect.StructType))


def _resolve_paths(config: Config, directory: Path) -> Config:
    def absolute(text: str) -> str:
        return str((directory / Path(text).expanduser()).resolve()) if text else ""

    replace = msgspec.structs.replace
    return replace(
        config,
        plugins=replace(config.plugins, directory=absolute(config.plugins.directory)),
        hardware=replace(
            config.hardware,
            scenario=absolute(config.hardware.scenario),
            record_file=absolute(config.hardware.record_file),
        ),
        storage=replace(
            config.storage,
            state_dir=absolute(config.storage.state_dir),
            cache_dir=absolute(config.storage.cache_dir),
        ),
    )


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
