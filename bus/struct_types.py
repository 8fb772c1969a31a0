"""Struct types, prepared for decoding before several threads use them.

msgspec builds what it needs to decode into a type when the type is first used, and lets other
threads see it before it is complete (0.22): where one of them decodes into the same type meanwhile,
the process ends with a segmentation fault.
"""

import contextlib
from collections.abc import Iterator

import msgspec


def prepare() -> None:
    """Prepare every Struct that is imported. Call it before the first thread starts.

    Some 5 ms on a PC for all types of a node.
    """
    for found in _below(msgspec.Struct):
        # A type that msgspec cannot decode into is never decoded into.
        with contextlib.suppress(TypeError):
            msgspec.json.Decoder(found)


def _below(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for found in base.__subclasses__():
        yield found
        yield from _below(found)
