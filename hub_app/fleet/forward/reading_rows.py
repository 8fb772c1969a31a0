"""Conversion of readings of the history to the columns of the table `stored_reading`. Pure."""

from collections.abc import Iterable

import msgspec

from bus.contract.messages import Value
from hub_app.history.schema import fields_of, unpack

# The columns v1, v2, ...; further numbers are in `more`.
NUMBER_COLUMNS = 8


class Shape(msgspec.Struct, frozen=True):
    """Fields of a reading: numbers in the order of their columns, `booleans` among them; texts."""

    numbers: tuple[str, ...]
    booleans: tuple[str, ...]
    texts: tuple[str, ...]


class Values(msgspec.Struct, frozen=True):
    """Values of a reading: `columns` v1 to v8, `more` and `texts`."""

    shape: Shape
    columns: tuple[float | None, ...]
    more: list[float] | None
    texts: list[str] | None


class _Plan(msgspec.Struct, frozen=True):
    """Places of the numbers and texts in the list of values of a reading.

    Where all values are numbers that fit into the columns, `padding` completes the row.
    """

    shape: Shape
    numbers: tuple[int, ...]
    texts: tuple[int, ...]
    padding: tuple[None, ...] | None


class ReadingRows:
    """Converts packed values; remembers where the values of each shape belong."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, tuple[type, ...]], _Plan] = {}

    def values(self, fields: str, data: bytes) -> Values:
        """Return the values of a reading; `fields` has their names as JSON."""
        found = unpack(data)
        key = (fields, tuple(map(type, found)))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _plan(fields_of(fields), found)
        if plan.padding is not None:
            return Values(plan.shape, (*found, *plan.padding), None, None)  # type: ignore[arg-type]
        numbers = [float(found[i]) for i in plan.numbers]
        missing = NUMBER_COLUMNS - len(numbers)
        return Values(
            plan.shape,
            (*numbers[:NUMBER_COLUMNS], *(None,) * missing),
            numbers[NUMBER_COLUMNS:] or None,
            [storable(str(found[i])) for i in plan.texts] or None,
        )


def _plan(names: list[str], found: list[Value]) -> _Plan:
    texts = tuple(i for i, value in enumerate(found) if isinstance(value, str))
    numbers = tuple(i for i in range(len(found)) if i not in texts)
    booleans = [i for i in numbers if isinstance(found[i], bool)]
    shape = Shape(_names(names, numbers), _names(names, booleans), _names(names, texts))
    missing = NUMBER_COLUMNS - len(found)
    is_plain = not texts and not booleans and missing >= 0
    return _Plan(shape, numbers, texts, (None,) * missing if is_plain else None)


def _names(names: list[str], places: Iterable[int]) -> tuple[str, ...]:
    return tuple(storable(names[i]) for i in places)


def storable(text: str) -> str:
    """Return a text without the character that PostgreSQL cannot store."""
    return text.replace("\x00", "")
