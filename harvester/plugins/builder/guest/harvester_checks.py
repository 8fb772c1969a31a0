"""Checks of values against types of the contract, as `builder.signatures` spells them.

A value passes exactly where the toolchain can lower it: an integer is a number, too, and so is any
object with `__float__`. Pure; it runs in the guest's Python.
"""

import operator
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Kind = tuple[Any, ...]

_SHOWN_CHARS = 60
_INTEGERS = ("u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64")


def mistake(value: Any, kind: Kind) -> str:
    """Return `place: found this, expected that` where `value` is no `kind`, else nothing."""
    return _CHECKS.get(kind[0], _anything)(value, kind)


def _found(value: Any, expected: str) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - an author's own method; and Python shows no huge integer
        text = f"one {type(value).__name__}"
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
    return f"found {shown}, expected {expected}"


def _anything(_value: Any, _kind: Kind) -> str:
    return ""


def _integer(value: Any, kind: Kind) -> str:
    bits = int(kind[0][1:])
    signed = kind[0].startswith("s")
    least = -(2 ** (bits - 1)) if signed else 0
    most = least + 2**bits - 1
    try:
        fits = least <= operator.index(value) <= most
    except TypeError:
        fits = False
    return "" if fits else _found(value, f"an integer from {least} to {most}")


def _number(value: Any, _kind: Kind) -> str:
    # `float` would read these as text.
    if not isinstance(value, str | bytes | bytearray):
        try:
            float(value)
        except OverflowError:
            return _found(value, "a number up to 1.8e308")
        except (TypeError, ValueError):
            return _found(value, "a number")
        return ""
    return _found(value, "a number")


def _boolean(value: Any, _kind: Kind) -> str:
    return "" if isinstance(value, bool) else _found(value, "True or False")


def _text(value: Any, _kind: Kind) -> str:
    if not isinstance(value, str):
        return _found(value, "a string")
    try:
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError:
        return _found(value, "text that UTF-8 can spell")
    return ""


def _list(value: Any, kind: Kind) -> str:
    if kind[1] == ("u8",):
        return "" if isinstance(value, bytes) else _found(value, "bytes")
    if isinstance(value, Generator):
        return "found a generator, as the function has `yield`, expected a list"
    if isinstance(value, Coroutine):
        value.close()
        return "found a coroutine, as the function is `async`, expected a list"
    if not isinstance(value, list):
        return _found(value, "a list")
    for index, item in enumerate(value):
        wrong = mistake(item, kind[1])
        if wrong:
            return f"{_label(item, index)}: {wrong}"
    return ""


def _label(item: Any, index: int) -> str:
    """Return the name of an item: its sensor's, the text that a pair begins with, or its place."""
    sensor_id = getattr(item, "sensor_id", None)
    if isinstance(sensor_id, str):
        return f"sensor {sensor_id[:_SHOWN_CHARS]!r}"
    if isinstance(item, tuple) and item and isinstance(item[0], str):
        return repr(item[0][:_SHOWN_CHARS])
    return f"item {index}"


def _tuple(value: Any, kind: Kind) -> str:
    if not isinstance(value, tuple) or len(value) != len(kind) - 1:
        return _found(value, f"a tuple of {len(kind) - 1} values")
    return next(filter(None, map(mistake, value, kind[1:])), "")


def _option(value: Any, kind: Kind) -> str:
    return "" if value is None else mistake(value, kind[1])


def _record(value: Any, kind: Kind) -> str:
    for name, field_kind in kind[2]:
        try:
            field = getattr(value, name)
        except AttributeError:
            return _found(value, f"a {kind[1]}")
        wrong = mistake(field, field_kind)
        if wrong:
            return f"{name}: {wrong}"
    return ""


_CHECKS: dict[str, Callable[[Any, Kind], str]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    "f32": _number,
    "f64": _number,
    "bool": _boolean,
    "string": _text,
    "list": _list,
    "tuple": _tuple,
    "option": _option,
    "record": _record,
}
