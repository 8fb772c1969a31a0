"""Finder of the first mistake in a configuration, message or command, described in one line.

msgspec names a value inside a `dict` as `[...]` only, so the place is found here: a value that does
not convert is searched part by part, down to the smallest part that does not.
"""

import functools
import operator
import re
import reprlib
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from bus.contract.bounds import PATTERN_WORDS

# The user and the password of a URL. The password may hold an "@" that was not encoded.
_URL_LOGIN = re.compile(r"//\S*@")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
# End and beginnings of msgspec's messages.
_PLACE = re.compile(r" - at `[^`]*`$")
_MSGSPECS_WORDS = ("Expected ", "Invalid ", "Object ", "maximum recursion depth ")


def first_mistake(value: Any, hint: Any, key: str = "") -> str | None:
    """Return `key: found this, expected that`, or None where `value` is a good `hint`."""
    refused = _refusal(value, hint)
    if refused is None:
        return None
    plain = _plain(hint)
    if isinstance(value, dict) and _structs(plain):
        return _in_structs(value, plain, key) or _said(refused, value, hint, key)
    if isinstance(value, list) and (fields := _array_fields(plain)):
        found = dict(zip(fields, value, strict=False))
        return _in_structs(found, plain, key) or _line(key, shown(value), expected(hint))
    inner = next(filter(None, _in_collection(value, plain, key)), None)
    return inner or _line(key, shown(value), expected(hint))


def expected(hint: Any) -> str:
    """Return in words what values `hint` allows."""
    hint = _optional(hint)
    kind = msgspec.inspect.type_info(hint)
    if isinstance(kind, msgspec.inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description"))
    if isinstance(kind, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return _number(kind)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return "one of " + ", ".join(str(value) for value in kind.values)
    if isinstance(kind, msgspec.inspect.UnionType):
        # An integer is a number, too.
        kinds = {option: msgspec.inspect.type_info(option) for option in typing.get_args(hint)}
        integer = msgspec.inspect.IntType
        said = [expected(o) for o, kind in kinds.items() if not isinstance(kind, integer)]
        return " or ".join(dict.fromkeys(said))
    if isinstance(kind, msgspec.inspect.TupleType):
        return f"an array of {len(kind.item_types)}"
    pattern = getattr(kind, "pattern", None) or ""
    words = PATTERN_WORDS.get(pattern) or _WORDS.get(type(kind), "another value")
    return words + _length(kind)


_WORDS: dict[type, str] = {
    msgspec.inspect.BoolType: "true or false",
    msgspec.inspect.StrType: "a string",
    msgspec.inspect.BytesType: "a string of base64",
    msgspec.inspect.ListType: "an array",
    msgspec.inspect.DictType: "a table",
    msgspec.inspect.StructType: "a table",
}

# Limits that are written in all their digits; greater ones are as good as none.
_EXACT_BELOW = 1e12


def _length(kind: msgspec.inspect.Type) -> str:
    least, most = getattr(kind, "min_length", None), getattr(kind, "max_length", None)
    unit = "characters" if isinstance(kind, msgspec.inspect.StrType) else "elements"
    if most is None:
        return f" of at least {least} {unit}" if least else ""
    return f" of {least} to {most} {unit}" if least else f" of at most {most} {unit}"


def _number(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    noun = "an integer" if isinstance(kind, msgspec.inspect.IntType) else "a number"
    if kind.multiple_of is not None:
        noun += f" that is a multiple of {kind.multiple_of:g},"
    if kind.ge is not None and kind.le is not None:
        return f"{noun} from {limit_text(kind.ge)} to {limit_text(kind.le)}"
    bounds = {"at least": kind.ge, "above": kind.gt, "at most": kind.le, "below": kind.lt}
    said = " and ".join(
        f"{word} {limit_text(limit)}" for word, limit in bounds.items() if limit is not None
    )
    return f"{noun} {said}".strip()


def limit_text(limit: float) -> str:
    """Return the text of a limit, with all its digits below `_EXACT_BELOW`."""
    return f"{limit:.12g}" if abs(limit) < _EXACT_BELOW else f"{limit:g}"


def _refusal(value: Any, hint: Any) -> str | None:
    """Return msgspec's reason to refuse a value, without its place; None where it fits."""
    try:
        msgspec.convert(value, hint)
    except (msgspec.ValidationError, RecursionError) as e:
        return _PLACE.sub("", str(e))
    return None


def _said(refused: str, table: dict[str, Any], hint: Any, key: str) -> str:
    """Return the mistake of a table whose parts are all right."""
    if any(refused.startswith(words) for words in _MSGSPECS_WORDS):
        return _line(key, shown(table), expected(hint))
    # A struct's own check, which says what it found and expected.
    return f"{key}: {refused}" if key else refused


def _optional(hint: Any) -> Any:
    """Return `X` for `X | None`, and `X | Y` for `X | Y | None`."""
    options = typing.get_args(hint)
    if not _is_union(hint) or types.NoneType not in options:
        return hint
    return functools.reduce(operator.or_, (o for o in options if o is not types.NoneType))


def _plain(hint: Any) -> Any:
    """Return `hint` without `| None` and without constraints."""
    hint = _optional(hint)
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _structs(hint: Any) -> list[type[msgspec.Struct]]:
    """Return the structs that `hint` allows: itself, or members of a union."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    return [o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct)]


def _array_fields(hint: Any) -> tuple[str, ...]:
    """Return the fields of a struct that is an array in JSON."""
    is_array = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
    return hint.__struct_fields__ if is_array and hint.__struct_config__.array_like else ()


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _in_structs(table: dict[str, Any], hint: Any, key: str) -> str | None:
    """Return the mistake of a table that may be one of several, told apart by their tag."""
    structs = _structs(hint)
    if len(structs) == 1:
        return _in_struct(table, structs[0], key)
    tag_field = structs[0].__struct_config__.tag_field
    by_tag = {struct.__struct_config__.tag: struct for struct in structs}
    if tag_field is None:
        return None
    tag = table.get(tag_field)
    if isinstance(tag, str | int) and tag in by_tag:
        return _in_struct(table, by_tag[tag], key)
    found = shown(tag) if tag_field in table else "nothing"
    return _line(_joined(key, tag_field), found, f"one of {', '.join(map(str, by_tag))}")


def _in_struct(table: dict[str, Any], struct: type[msgspec.Struct], key: str) -> str | None:
    hints = typing.get_type_hints(struct, include_extras=True)
    config = struct.__struct_config__
    for name, value in table.items():
        if name == config.tag_field or (name not in hints and not config.forbid_unknown_fields):
            continue
        if name not in hints:
            return _line(_joined(key, name), "an unknown key", f"one of {', '.join(hints)}")
        if line := first_mistake(value, hints[name], _joined(key, name)):
            return line
    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in table:
            return _line(_joined(key, field.name), "nothing", expected(hints[field.name]))
    return None


def _in_collection(value: Any, hint: Any, key: str) -> Iterator[str | None]:
    """Yield the mistake of each part of a list or dict, None where a part is right."""
    origin, hints = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, list) and origin in (list, tuple):
        if origin is list:
            hints = hints * len(value)
        for index, (part, part_hint) in enumerate(zip(value, hints, strict=False)):
            yield first_mistake(part, part_hint, f"{key}[{index}]")
    elif isinstance(value, dict) and _is_union(hint):
        tables = [option for option in hints if typing.get_origin(_plain(option)) is dict]
        yield from (first_mistake(value, table, key) for table in tables)
    elif isinstance(value, dict) and origin is dict:
        for name, part in value.items():
            if _refusal(name, hints[0]) is not None:
                yield _line(_joined(key, name), f"the key {shown(name)}", expected(hints[0]))
            yield first_mistake(part, hints[1], _joined(key, name))


def _joined(key: str, name: str) -> str:
    quoted = name if _BARE_KEY.fullmatch(name) else shown(name)
    return f"{key}.{quoted}" if key else quoted


def _line(key: str, found: str, wanted: str) -> str:
    place = f"{key}: " if key else ""
    return f"{place}found {found}, expected {wanted}"


class _Shown(reprlib.Repr):
    """A value on one short line, however large or deep it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = 60

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(_URL_LOGIN.sub("//...@", x), level)

    def repr_bool(self, x: bool, level: int) -> str:  # noqa: ARG002, FBT001 - the base class's way
        return str(x).lower()

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - the base class's way
        # Python refuses to print more than 4300 digits; nothing here allows as many as 20.
        return repr(x) if x.bit_length() <= 64 else "an integer of more than 64 bits"


shown = _Shown().repr
