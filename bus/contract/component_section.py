"""Custom section of a WebAssembly component that carries its plugin's description as JSON.

A custom section (id 0, WebAssembly core specification 5.5.3) may stand at the end of any component,
and every engine skips those it does not know.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bus.contract.description import PluginDescription
from bus.contract.mistake import first_mistake
from bus.errors import BadDataError

NAME = "harvester.plugin"

_CUSTOM = 0
# Magic number, then version and layer of a component.
_HEADER = b"\0asm\x0d\0\x01\0"
_MAX_LEB128_BYTES = 5


class BadDescriptionError(BadDataError):
    """A component whose description cannot be read."""


def append(component: bytes, description: PluginDescription) -> bytes:
    """Return `component` with `description` at its end."""
    name = NAME.encode()
    content = _leb128(len(name)) + name + msgspec.json.encode(description)
    return component + bytes((_CUSTOM,)) + _leb128(len(content)) + content


def read(wasm: Path) -> PluginDescription | None:
    """Return the description in the component at `wasm`, or None where it has none.

    Raises OSError where the file cannot be read, BadDescriptionError where it is damaged.
    """
    component = wasm.read_bytes()
    if not component.startswith(_HEADER):
        raise BadDescriptionError(f"{wasm}: found no WebAssembly component")
    found = None
    try:
        for start, end in _custom_sections(component):
            length, text_at = _read_leb128(component, start)
            if component[text_at : text_at + length] == NAME.encode():
                found = component[text_at + length : end]
    except IndexError as e:
        raise BadDescriptionError(f"{wasm}: the component ends within a section") from e
    return None if found is None else _decode(wasm, found)


def _decode(wasm: Path, payload: bytes) -> PluginDescription:
    try:
        return msgspec.json.decode(payload, type=PluginDescription)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadDescriptionError(f"{wasm}: {_mistake(payload) or e}") from e


def _mistake(payload: bytes) -> str | None:
    try:
        return first_mistake(msgspec.json.decode(payload), PluginDescription)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _custom_sections(component: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of each custom section. Raises IndexError at a cut."""
    at = len(_HEADER)
    while at < len(component):
        kind = component[at]
        size, start = _read_leb128(component, at + 1)
        at = start + size
        if at > len(component):
            raise IndexError
        if kind == _CUSTOM:
            yield start, at


def _leb128(number: int) -> bytes:
    """Return an unsigned integer as LEB128 (WebAssembly core specification 5.2.2)."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_leb128(component: bytes, at: int) -> tuple[int, int]:
    """Return the integer at `at` and the position behind it. Raises IndexError at a cut."""
    number = 0
    for place in range(_MAX_LEB128_BYTES):
        byte = component[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise IndexError
