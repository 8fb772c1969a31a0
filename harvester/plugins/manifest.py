"""`plugin.toml`: a plugin's world and folders, and its author's description of its values."""

import re
from pathlib import Path
from typing import Annotated

import msgspec

from bus.contract import band_limits
from bus.contract.band_limits import AuthoredField
from bus.contract.bounds import MAX_FIELDS, FieldName, Word
from bus.contract.description import (
    MAX_SETTINGS,
    PluginDescription,
    SettingDescription,
    Settings,
)
from bus.contract.description_check import first_contradiction
from bus.contract.mistake import first_mistake
from bus.errors import MisconfiguredError
from bus.files import toml_text
from harvester.plugins.toml_lines import line_of

NAME = "plugin.toml"

# `pynmea2>=1.19`: no option of pip, no path and no address.
Requirement = Annotated[
    str,
    msgspec.Meta(
        max_length=200,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._\[\],<>=!~*+ -]*\Z",
        extra_json_schema={
            "description": "a name with versions, such as 'pynmea2>=1.19', without markers, "
            "options, paths and addresses"
        },
    ),
]
_EXPECTED = 'world = "...-plugin"'
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")


# As `AuthoredField`: an unknown key is a mistake.
class _Setting(SettingDescription, frozen=True, forbid_unknown_fields=True):
    pass


class Dependencies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Packages of pure Python from the index that pip uses, as in a requirements file."""

    packages: Annotated[list[Requirement], msgspec.Meta(max_length=32)] = []


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`plugin.toml`. `python_path` names further folders with modules, relative to the plugin."""

    world: str
    python_path: list[str] = []
    title: Word = ""
    version: Word = ""
    author: Word = ""
    fields: Annotated[dict[FieldName, AuthoredField], msgspec.Meta(max_length=MAX_FIELDS)] = {}
    dependencies: Dependencies = Dependencies()
    settings: Annotated[dict[FieldName, _Setting], msgspec.Meta(max_length=MAX_SETTINGS)] = {}

    @property
    def description(self) -> PluginDescription:
        """The part that the component carries. Every limit of a band must be right."""
        return PluginDescription(
            self.title,
            self.version,
            self.author,
            band_limits.described(self.fields, self.settings),
            msgspec.convert(msgspec.to_builtins(self.settings), Settings),
        )


def read(path: Path) -> Manifest:
    """Return the manifest at `path`.

    Raises MisconfiguredError, which names file, line and key, what was found and what is expected.
    """
    try:
        content = path.read_bytes()
        tables = toml_text.parse(content)
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected {_EXPECTED}") from e
    except (ValueError, RecursionError) as e:
        raise MisconfiguredError(_not_toml(path, str(e))) from e
    try:
        manifest = msgspec.convert(tables, Manifest)
    except msgspec.ValidationError as e:
        raise _bad(path, content, first_mistake(tables, Manifest) or str(e)) from e
    line = band_limits.first_mistake(manifest.fields, manifest.settings)
    if line := line or first_contradiction(manifest.description):
        raise _bad(path, content, line)
    return manifest


def _not_toml(path: Path, error: str) -> str:
    at = _AT_LINE.search(error)
    place = f"{path}:{at[1]}" if at else str(path)
    return f"{place}: found no valid TOML: {_AT_LINE.sub('', error)}; expected {_EXPECTED}"


def _bad(path: Path, content: bytes, mistake: str) -> MisconfiguredError:
    key = mistake.partition(": ")[0]
    line = line_of(content.decode("utf-8-sig"), key)
    if key == "world":
        mistake = f"{mistake}, such as {_EXPECTED}"
    return MisconfiguredError(f"{path}:{line}: {mistake}")
