"""Finder of the first mistake in a configuration, message or command, described in one line.

msgspec names a value inside a `dict` as `[...]` only, so the place is found here: a value that does
not convert is searched part by part, down to the smallest part that does not.
"""

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


def first_mistake(value: Any, hint: Any, key: str = "") -> str | None:
    """Return `key: found this, expected that`, or None where `value` is a good `hint`."""
    if _fits(value, hint):
        return None
    plain = _plain(hint)
    if isinstance(value, dict) and _is_struct(plain):
        inner = _in_struct(value, plain, key)
    elif isinstance(value, dict | list) and typing.get_origin(plain) is type(value):
        inner = next(filter(None, _in_collection(value, typing.get_args(plain), key)), None)
    else:
        inner = None
    return inner or _line(key, shown(value), expected(hint))


def expected(hint: Any) -> str:
    """Return in words what values `hint` allows."""
    kind = msgspec.inspect.type_info(_optional(hint))
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
        return " or ".join(
            expected(o) for o, kind in kinds.items() if not isinstance(kind, integer)
        )
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


def _length(kind: msgspec.inspect.Type) -> str:
    least, most = getattr(kind, "min_length", None), getattr(kind, "max_length", None)
    if most is None:
        return ""
    unit = "characters" if isinstance(kind, msgspec.inspect.StrType) else "elements"
    return f" of {least} to {most} {unit}" if least else f" of at most {most} {unit}"


def _number(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    noun = "an integer" if isinstance(kind, msgspec.inspect.IntType) else "a number"
    if kind.multiple_of is not None:
        noun += f" that is a multiple of {kind.multiple_of:g},"
    if kind.ge is not None and kind.le is not None:
        return f"{noun} from {kind.ge:g} to {kind.le:g}"
    bounds = {"at least": kind.ge, "above": kind.gt, "at most": kind.le, "below": kind.lt}
    said = " and ".join(f"{word} {limit:g}" for word, limit in bounds.items() if limit is not None)
    return f"{noun} {said}".strip()


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _optional(hint: Any) -> Any:
    """Return `X` for `X | None`."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and types.NoneType in options:
        return next(option for option in options if option is not types.NoneType)
    return hint


def _plain(hint: Any) -> Any:
    """Return `hint` without `| None` and without constraints."""
    hint = _optional(hint)
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _in_struct(table: dict[str, Any], struct: type[msgspec.Struct], key: str) -> str | None:
    hints = typing.get_type_hints(struct, include_extras=True)
    for name, value in table.items():
        if name not in hints and not struct.__struct_config__.forbid_unknown_fields:
            continue
        if name not in hints:
            return _line(_joined(key, name), "an unknown key", f"one of {', '.join(hints)}")
        if line := first_mistake(value, hints[name], _joined(key, name)):
            return line
    for field in msgspec.structs.fields(struct):
        if field.required and field.name not in table:
            return _line(_joined(key, field.name), "nothing", expected(hints[field.name]))
    return None


def _in_collection(
    values: dict[str, Any] | list[Any], hints: tuple[Any, ...], key: str
) -> Iterator[str | None]:
    if isinstance(values, list):
        for index, value in enumerate(values):
            yield first_mistake(value, hints[0], f"{key}[{index}]")
        return
    name_hint, value_hint = hints
    for name, value in values.items():
        if not _fits(name, name_hint):
            yield _line(_joined(key, name), f"the key {shown(name)}", expected(name_hint))
        yield first_mistake(value, value_hint, _joined(key, name))


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
