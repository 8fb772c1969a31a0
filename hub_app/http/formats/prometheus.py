"""Prometheus text format 0.0.4: families of samples, formatted one by one.

No value can make it fail, so one bad series never takes the others.
"""

import math
from collections.abc import Iterator

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
Labels = tuple[str, ...]


class Sample(msgspec.Struct, frozen=True):
    """One value, with the values of its family's labels."""

    labels: Labels
    value: float | int


class Family(msgspec.Struct, frozen=True):
    """Samples of one metric. The name of a counter ends with `_total`."""

    name: str
    kind: str
    help: str
    label_names: Labels
    samples: list[Sample]


# Families, and None where other tasks have their turn.
Families = Iterator[Family | None]
# Entries between two turns: some 2 ms on a Raspberry Pi.
ENTRIES_PER_SLICE = 100


def gauge(name: str, text: str, *label_names: str) -> Family:
    return Family(name, "gauge", text, label_names, [])


def counter(name: str, text: str, *label_names: str) -> Family:
    return Family(f"{name}_total", "counter", text, label_names, [])


def lines(family: Family) -> Iterator[str]:
    """Yield the lines of a family, each with its line feed."""
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        number = _number(sample.value)
        if number is not None:
            yield f"{family.name}{_labels(family.label_names, sample.labels)} {number}\n"


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs) + "}"


def _number(value: float) -> str | None:
    """Return a number as text, None for one that no float holds."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return repr(number) if math.isfinite(number) else None
