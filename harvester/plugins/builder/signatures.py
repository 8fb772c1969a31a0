"""Types of a WIT contract's functions, as plain tuples. Pure.

A type is a tuple that begins with its name: `("u8",)`, `("list", ("string",))`,
`("result", ok, err)`, `("record", "Reading", (("sensor_id", ("string",)), ...))`. What is neither
a record nor built in is `("any",)`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from harvester.plugins.builder.contract import blocks, class_name, module_name

Type = tuple[Any, ...]
ANY: Type = ("any",)
_PLAIN = frozenset(
    {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64", "bool", "string"}
)
_GENERIC = frozenset({"list", "tuple", "option", "result"})
_COMMENT = re.compile(r"//.*")
_FUNCTION = re.compile(
    r"^\s*([\w-]+): func\((.*?)\)\s*(?:->\s*([^;]+))?;", re.MULTILINE | re.DOTALL
)
_RECORD = re.compile(r"\brecord ([\w-]+) \{(.*?)\}", re.DOTALL)
_NAMED = re.compile(r"\s*([\w-]+)\s*:")
_TOKEN = re.compile(r"[\w-]+|[<>,]")


class Signature(msgspec.Struct, frozen=True):
    """A function's parameters by name, as Python spells them, and its result."""

    parameters: dict[str, Type]
    result: Type


class Interface(msgspec.Struct, frozen=True):
    """Functions by name, and the classes of the records, as Python spells them."""

    functions: dict[str, Signature]
    records: list[str]


def interfaces(wit: str) -> dict[str, Interface]:
    """Return every interface of a contract by its name in WIT."""
    plain = _COMMENT.sub("", wit)
    return {name: _interface(body) for name, body in blocks("interface", plain)}


def _interface(body: str) -> Interface:
    records: dict[str, Type] = {}
    for name, fields in _RECORD.findall(body):
        parsed = _named_types(fields, records)
        records[name] = ("record", class_name(name), tuple(parsed.items()))
    functions = {
        module_name(name): Signature(
            _named_types(parameters, records), _type(result, records) if result else ANY
        )
        for name, parameters, result in _FUNCTION.findall(body)
    }
    return Interface(functions, [record[1] for record in records.values()])


def _named_types(text: str, records: Mapping[str, Type]) -> dict[str, Type]:
    """Return `name: type` pairs; a comma inside angle brackets separates no pair."""
    _, *parts = _NAMED.split(text)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {module_name(name): _type(named, records) for name, named in pairs}


def _type(text: str, records: Mapping[str, Type]) -> Type:
    return _parse(iter(_TOKEN.findall(f"{text},")), records)[0]


def _parse(tokens: Iterator[str], records: Mapping[str, Type]) -> tuple[Type, str]:
    """Return the type at the head of `tokens`, and the token after it."""
    name, following = next(tokens), next(tokens)
    parts: list[Type] = []
    if following == "<":
        while following != ">":
            part, following = _parse(tokens, records)
            parts.append(part)
        following = next(tokens, "")
    return _made(name, parts, records), following


def _made(name: str, parts: list[Type], records: Mapping[str, Type]) -> Type:
    if name in _PLAIN:
        return (name,)
    if name == "result":
        return ("result", *parts, *[ANY] * (2 - len(parts)))
    if name in _GENERIC and parts:
        return (name, *parts)
    return records.get(name, ANY)
