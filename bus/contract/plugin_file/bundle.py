"""Bundle: a plugin as Python source in one file, for the runtime component that every node has.

A file is a line that names the format, then the bundle's JSON, compressed by zlib. The same source
makes the same bytes. `read` refuses a file that is damaged or too large; whatever it accepts is
only run in the sandbox.
"""

import zlib
from pathlib import Path
from typing import Annotated

import msgspec

from bus.contract.bounds import Name, Word
from bus.contract.description import PluginDescription
from bus.contract.description_check import first_contradiction
from bus.contract.mistake import first_mistake
from bus.contract.plugin_file import worlds
from bus.errors import BadDataError

SUFFIX = ".bundle"
# The module that has the plugin's classes.
MAIN = "app"
_FAMILY = b"harvester bundle "
_FORMAT = b"1"
_HEAD = _FAMILY + _FORMAT + b"\n"
# The shipped plugins have 4 to 25 KB; a larger bundle than this is a mistake or an attack.
MAX_FILE_BYTES = 1 << 20
MAX_TEXT_BYTES = 4 << 20
_MAX_MODULES = 2000
_MAX_LIST = 64
_LEVEL = 9
_EXPECTED = "expected a bundle, made by `harvester plugins pack`"

# As tracebacks name it: the place of a folder in the plugin's Python path, then the path below it.
ModuleFile = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        pattern=r"^[0-9]{1,3}/[^\x00-\x1f\x7f-\x9f\u2028\u2029]+\Z",
        extra_json_schema={"description": "a place such as 0/app.py, of at most 256 characters"},
    ),
]
ModuleName = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^\w+(\.\w+)*\Z")]
Interfaces = Annotated[list[Name], msgspec.Meta(max_length=_MAX_LIST)]


class BadBundleError(BadDataError):
    """A file that is no bundle, is damaged or too large."""


class Module(msgspec.Struct, frozen=True, array_like=True):
    """The source of one module, and whether it is a package."""

    file: ModuleFile
    source: str
    is_package: bool = False


class Bundle(msgspec.Struct, frozen=True):
    """A plugin: interfaces of the contract, its author's description, modules by name.

    `packages` are the distributions among the modules, such as `pynmea2 1.19.0`.
    """

    world: Name
    imports: Interfaces
    exports: Interfaces
    description: PluginDescription
    modules: Annotated[dict[ModuleName, Module], msgspec.Meta(max_length=_MAX_MODULES)]
    packages: Annotated[list[Word], msgspec.Meta(max_length=_MAX_LIST)] = []


def encode(bundle: Bundle) -> bytes:
    """Return the content of a bundle's file. Raises BadBundleError where it would be too large."""
    ordered = msgspec.structs.replace(bundle, modules=dict(sorted(bundle.modules.items())))
    text = msgspec.json.encode(ordered)
    content = _HEAD + zlib.compress(text, _LEVEL)
    if len(text) > MAX_TEXT_BYTES or len(content) > MAX_FILE_BYTES:
        raise BadBundleError(
            f"found {len(text)} bytes of source, {len(content)} compressed; expected "
            f"{MAX_TEXT_BYTES} and {MAX_FILE_BYTES} at most"
        )
    return content


def text_of(content: bytes, name: object) -> str:
    """Return a bundle's JSON. `name` is of its file. Raises BadBundleError."""
    if len(content) > MAX_FILE_BYTES:
        raise BadBundleError(f"{name}: found over {MAX_FILE_BYTES} bytes, expected fewer")
    if not content.startswith(_HEAD):
        raise BadBundleError(f"{name}: {_other_format(content)}")
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(content[len(_HEAD) :], MAX_TEXT_BYTES + 1)
        if len(text) > MAX_TEXT_BYTES:
            raise BadBundleError(f"{name}: unpacks to over {MAX_TEXT_BYTES} bytes, expected fewer")
        if not unpacking.eof or unpacking.unused_data:
            raise BadBundleError(f"{name}: the bundle is cut off or has more behind its end")
        return text.decode()
    except (zlib.error, UnicodeDecodeError) as e:
        raise BadBundleError(f"{name}: the bundle is damaged: {e}") from e


def parse(text: str, name: object) -> Bundle:
    """Return what a bundle's JSON says. Raises BadBundleError."""
    try:
        bundle = msgspec.json.decode(text, type=Bundle)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadBundleError(f"{name}: {_mistake(text) or f'the JSON is damaged: {e}'}") from e
    if line := worlds.refusal(bundle.world) or first_contradiction(bundle.description):
        raise BadBundleError(f"{name}: {line}")
    if MAIN not in bundle.modules:
        raise BadBundleError(f"{name}: modules: found no {MAIN!r}, expected one")
    return bundle


def read(path: Path) -> tuple[bytes, str, Bundle]:
    """Return a file's content, its JSON, and what that says. Raises OSError, BadBundleError."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    text = text_of(content, path)
    return content, text, parse(text, path)


def _other_format(content: bytes) -> str:
    head, _, _ = content[:80].partition(b"\n")
    if not head.startswith(_FAMILY) or head == _HEAD.rstrip():
        return f"found {'an empty file' if not content else 'no bundle'}, {_EXPECTED}"
    found = head.removeprefix(_FAMILY).decode(errors="replace")
    return f"found a bundle of format {found}, expected {_FORMAT.decode()}; update this node"


def _mistake(text: str) -> str | None:
    try:
        return first_mistake(msgspec.json.decode(text), Bundle)
    except (msgspec.DecodeError, RecursionError):
        return None
