"""Table of the bounds of every message, made from the message types, as it stands in topics.md.

`python -m tests.bus.contract.bounds_table` prints it.
"""

from collections.abc import Callable, Iterator

from msgspec import inspect

from bus.contract.bounds import MAX_PAYLOAD_BYTES, OPTIONAL_NAME_PATTERN
from bus.contract.description import Band, FieldDescription, SettingDescription
from bus.contract.messages import MESSAGE_TYPES, PluginCost, Reading
from bus.contract.reading import CheckedReading
from bus.contract.topics import NAME_PATTERN

_HEADER = "| message | field | what is accepted |\n|---------|-------|------------------|"
# The patterns of the types in words.
_LETTERS = {
    NAME_PATTERN: "a name",
    OPTIONAL_NAME_PATTERN: "a name or nothing",
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z": "no control characters",
    r"^[A-Za-z0-9._:-]*\Z": "letters, digits, `.`, `_`, `:`, `-`",
    r"^[0-9a-f]*\Z": "lower-case hexadecimal digits",
    r"^#[0-9a-f]{6}\Z": "`#rrggbb`",
}


def bounds_table() -> str:
    """Return the table in Markdown."""
    return "\n".join((_HEADER, *_rows()))


def _rows() -> Iterator[str]:
    for kind, message_type in MESSAGE_TYPES.items():
        name = message_type.__name__
        yield f"| {name} | (whole payload) | at most {MAX_PAYLOAD_BYTES[kind]} bytes |"
        # A backlog is the bare list.
        yield from _fields_of(CheckedReading if message_type is Reading else message_type, name)
    for part in (FieldDescription, Band, SettingDescription, PluginCost):
        yield from _fields_of(part, part.__name__)


def _fields_of(struct: type, name: str) -> Iterator[str]:
    described = inspect.type_info(struct)
    if isinstance(described, inspect.StructType):
        for field in described.fields:
            yield f"| {name} | `{field.encode_name}` | {_accepted(field.type)} |"


def _accepted(described: inspect.Type) -> str:
    return _WORDS[type(described)](described)


def _integer(described: inspect.IntType) -> str:
    step = described.multiple_of
    multiple = f", a multiple of {step}" if step else ""
    return f"integer, {described.ge} to {described.le}{multiple}"


def _text(described: inspect.StrType) -> str:
    parts = [_LETTERS[described.pattern]] if described.pattern else []
    if described.max_length is not None:
        least = described.min_length or 0
        parts.insert(0, f"{least} to {described.max_length} characters")
    return ", ".join(parts)


def _number(value: float | None) -> str:
    return f"{value:.16g}"


_WORDS: dict[type[inspect.Type], Callable[..., str]] = {
    inspect.IntType: _integer,
    inspect.FloatType: lambda found: f"number, {_number(found.ge)} to {_number(found.le)}",
    inspect.StrType: _text,
    inspect.BoolType: lambda _: "true or false",
    inspect.NoneType: lambda _: "null",
    inspect.BytesType: lambda found: (
        f"base64 of at most {found.max_length} bytes"
        if found.max_length
        else "base64 of `width` / 8 x `height` bytes"
    ),
    inspect.LiteralType: lambda found: ", ".join(f"`{value}`" for value in found.values if value),
    inspect.StructType: lambda found: found.cls.__name__,
    inspect.ListType: lambda found: (
        f"list of at most {found.max_length}: {_accepted(found.item_type)}"
    ),
    inspect.TupleType: lambda found: f"[{'; '.join(map(_accepted, found.item_types))}]",
    inspect.DictType: lambda found: (
        f"at most {found.max_length} fields; name: {_accepted(found.key_type)};"
        f" value: {_accepted(found.value_type)}"
    ),
    inspect.UnionType: lambda found: ", or ".join(map(_accepted, found.types)),
}


if __name__ == "__main__":
    print(bounds_table())  # noqa: T201 - its purpose
