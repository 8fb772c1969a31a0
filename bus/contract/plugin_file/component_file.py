"""Component as a file that the hub serves to nodes: its path over HTTP, and its checks."""

import hashlib
import re
from pathlib import Path

from bus.contract.bounds import MAX_COMPONENT_BYTES
from bus.contract.description import PluginDescription
from bus.contract.plugin_file import component_section
from bus.errors import BadDataError

SUFFIX = ".wasm"
# Below it, a component by its sha256 in hexadecimal, on the hub's port for machines.
COMPONENTS_PATH = "/delivery/components"
# Names of interfaces, which stand in a component's imports and exports as they are.
_INTERFACE = re.compile(
    rb"harvester:plugin/[a-z0-9-]{1,64}@([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})"
)


class BadComponentError(BadDataError):
    """A file that is no component, is damaged or too large."""


def read_description(path: Path) -> PluginDescription:
    """Return what the author of a component says. Raises OSError, BadDataError."""
    size_bytes = path.stat().st_size
    if size_bytes > MAX_COMPONENT_BYTES:
        raise BadComponentError(
            f"{path}: found {size_bytes} bytes, expected {MAX_COMPONENT_BYTES} at most"
        )
    return component_section.read(path) or PluginDescription()


def contract_version(content: bytes) -> str:
    """Return the newest version of the contract that a component names, empty without any."""
    found = {tuple(map(int, version)) for version in _INTERFACE.findall(content)}
    return ".".join(map(str, max(found))) if found else ""


def digest_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
