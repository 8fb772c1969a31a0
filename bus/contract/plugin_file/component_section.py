"""Custom section of a WebAssembly component that carries its plugin's description as JSON.

A custom section (id 0, WebAssembly core specification 5.5.3) may stand at the end of any component,
and every engine skips those it does not know.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from bus.contract.description import PluginDescription
from bus.contract.description_check import first_contradiction
from bus.contract.mistake import first_mistake
from bus.errors import BadDataError

NAME = "harvester.plugin"

_CUSTOM = 0
# Magic number, then version and layer of a component.
_HEADER = b"\0asm\x0d\0\x01\0"
_MAX_LEB128_BYTES = 5
# A longer description cannot be decoded and is damage.
_MAX_SECTION_BYTES = 262_144


class BadDescriptionError(BadDataError):
    """A component whose description cannot be read."""


def append(component: bytes, description: PluginDescription) -> bytes:
    """Return `component` with `description` at its end."""
    return component + encode(description)


def encode(description: PluginDescription) -> bytes:
    """Return the section alone, to be written behind a component."""
    name = NAME.encode()
    content = _leb128(len(name)) + name + msgspec.json.encode(description)
    return bytes((_CUSTOM,)) + _leb128(len(content)) + content


def read(wasm: Path) -> PluginDescription | None:
    """Return the description in the component at `wasm`, or None where it has none.

    Raises OSError where the file cannot be read, BadDescriptionError where it is damaged.
    """
    # Not mapped: a file that is overwritten in place would end the process.
    with wasm.open("rb") as file:
        if file.read(len(_HEADER)) != _HEADER:
            raise BadDescriptionError(f"{wasm}: found no WebAssembly component")
        try:
            found = _find(file, wasm.stat().st_size)
        except IndexError as e:
            raise BadDescriptionError(f"{wasm}: the component ends within a section") from e
    return None if found is None else _decode(wasm, found)


def _find(file: BinaryIO, size: int) -> bytes | None:
    """Return the last description, so that one appended later counts.

    Only the headers of other sections are read, since a component is large.
    """
    found = None
    for start, end in _custom_sections(file, size):
        length, text_at = _read_leb128(_part(file, start), 0)
        name_at = start + text_at
        if _part(file, name_at, length) == NAME.encode():
            found = _part(file, name_at + length, end - name_at - length)
    return found


def _part(file: BinaryIO, at: int, length: int = _MAX_LEB128_BYTES) -> bytes:
    file.seek(at)
    return file.read(max(0, min(length, _MAX_SECTION_BYTES)))


def _decode(wasm: Path, payload: bytes) -> PluginDescription:
    try:
        said = msgspec.json.decode(payload, type=PluginDescription)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadDescriptionError(f"{wasm}: {_mistake(payload) or e}") from e
    if line := first_contradiction(said):
        raise BadDescriptionError(f"{wasm}: {line}")
    return said


def _mistake(payload: bytes) -> str | None:
    try:
        return first_mistake(msgspec.json.decode(payload), PluginDescription)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _custom_sections(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of each custom section. Raises IndexError at a cut."""
    at = len(_HEADER)
    while at < size:
        header = _part(file, at, 1 + _MAX_LEB128_BYTES)
        length, start = _read_leb128(header, 1)
        start, at = at + start, at + start + length
        if at > size:
            raise IndexError
        if header[0] == _CUSTOM:
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
