"""`plugin.lock`: the exact packages of a plugin, with the digests of their wheels."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from bus.contract.bounds import Sha256, Word
from bus.contract.mistake import first_mistake
from bus.errors import MisconfiguredError
from bus.files import toml_text, whole_file
from harvester.plugins.source import LOCK_NAME as NAME

_HEAD = "# Made by `harvester plugins lock`; it belongs beside plugin.toml.\n"
_MODE = 0o644
_MAX_PACKAGES = 64
_FILE = r"^[A-Za-z0-9._+!-]+\.whl\Z"

WheelName = Annotated[str, msgspec.Meta(max_length=200, pattern=_FILE)]


class Package(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One package: a wheel `file` of pure Python with that digest."""

    name: Word
    version: Word
    file: WheelName
    sha256: Sha256


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The packages that were found for `requirements`, which are those of plugin.toml."""

    requirements: list[str]
    package: Annotated[list[Package], msgspec.Meta(max_length=_MAX_PACKAGES)] = []


def read(folder: Path) -> Lock | None:
    """Return the lock in a plugin's folder, None without one. Raises MisconfiguredError."""
    path = folder / NAME
    try:
        tables = toml_text.parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as e:
        raise MisconfiguredError(f"{path}: {e}; `harvester plugins lock` makes another") from e
    try:
        return msgspec.convert(tables, Lock)
    except msgspec.ValidationError as e:
        mistake = first_mistake(tables, Lock) or str(e)
        raise MisconfiguredError(f"{path}: {mistake}") from e


def write(folder: Path, lock: Lock) -> None:
    """Write the lock into a plugin's folder. Raises MisconfiguredError."""
    path = folder / NAME
    try:
        whole_file.replace(path, text_of(lock).encode(), mode=_MODE)
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}") from e


def text_of(lock: Lock) -> str:
    """Return the content of the file; the same lock makes the same bytes."""
    lines = [_HEAD, f"requirements = {_list(lock.requirements)}"]
    for package in lock.package:
        # A JSON string is a TOML one.
        fields = msgspec.structs.asdict(package).items()
        lines += ["", "[[package]]", *(f"{key} = {json.dumps(value)}" for key, value in fields)]
    return "\n".join(lines) + "\n"


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(json.dumps, texts))}]"
