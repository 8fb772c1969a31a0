import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from harvester.plugins.builder.guest.harvester_checks import mistake

READING = (
    "record",
    "Reading",
    (
        ("sensor_id", ("string",)),
        ("timestamp_ms", ("u64",)),
        ("values", ("list", ("tuple", ("string",), ("f64",)))),
    ),
)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


class Indexed:
    def __index__(self) -> int:
        return 7


def reading(sensor_id: Any = "x", timestamp_ms: Any = 1, values: Any = ()) -> SimpleNamespace:
    return SimpleNamespace(sensor_id=sensor_id, timestamp_ms=timestamp_ms, values=list(values))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0, ("u8",)),
        (255, ("u8",)),
        (-128, ("s8",)),
        (True, ("u8",)),
        (Indexed(), ("u32",)),
        (2**64 - 1, ("u64",)),
        (1, ("f32",)),
        (math.nan, ("f64",)),
        (Decimal("1.5"), ("f64",)),
        (True, ("bool",)),
        ("\u00b0C", ("string",)),
        (b"\x01", ("list", ("u8",))),
        (None, ("option", ("string",))),
        ((1, "a"), ("tuple", ("u8",), ("string",))),
        ([reading(values=[("t", 1.0)])], ("list", READING)),
        (object(), ("any",)),
        (object(), ("variant", "unknown")),
    ],
)
def test_what_the_toolchain_can_lower_passes(value: Any, kind: tuple[Any, ...]) -> None:
    assert mistake(value, kind) == ""


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (256, ("u8",), "found 256, expected an integer from 0 to 255"),
        (-129, ("s8",), "found -129, expected an integer from -128 to 127"),
        (1.0, ("u8",), "found 1.0, expected an integer from 0 to 255"),
        (None, ("f64",), "found None, expected a number"),
        ("21.5", ("f64",), "found '21.5', expected a number"),
        (b"21.5", ("f32",), "found b'21.5', expected a number"),
        (10**400, ("f64",), "expected a number"),
        (1, ("bool",), "found 1, expected True or False"),
        (7, ("string",), "found 7, expected a string"),
        ("\ud800", ("string",), "expected text that UTF-8 can spell"),
        ([1, 2], ("list", ("u8",)), "found [1, 2], expected bytes"),
        (bytearray(b"x"), ("list", ("u8",)), "expected bytes"),
        ((), ("list", READING), "found (), expected a list"),
        (None, ("list", READING), "found None, expected a list"),
        ([7], ("list", READING), "item 0: found 7, expected a Reading"),
        ((1,), ("tuple", ("u8",), ("u8",)), "found (1,), expected a tuple of 2 values"),
        ([1, 2], ("tuple", ("u8",), ("u8",)), "found [1, 2], expected a tuple of 2 values"),
        (7, ("option", ("string",)), "found 7, expected a string"),
        (
            [reading(), reading("y", values=[("a", 1.0), ("b", None)])],
            ("list", READING),
            "sensor 'y': values: 'b': found None, expected a number",
        ),
        ([reading(sensor_id=7)], ("list", READING), "item 0: sensor_id: found 7"),
    ],
)
def test_what_it_cannot_lower_is_named(value: Any, kind: tuple[Any, ...], said: str) -> None:
    assert said in mistake(value, kind)


def test_a_long_value_is_shown_short() -> None:
    assert len(mistake("x" * 10_000, ("f64",))) < 120


def test_what_python_cannot_print_is_named_by_its_class() -> None:
    assert mistake(10**5000, ("u8",)) == "found one int, expected an integer from 0 to 255"
    assert mistake(Unprintable(), ("f32",)) == "found one Unprintable, expected a number"
