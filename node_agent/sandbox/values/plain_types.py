"""Types of functions without native memory, for wasmtime-py to convert values with.

Each type object of wasmtime-py owns a block of wasmtime's memory, and asking it for a part makes
another one. Those that a reference cycle held, as a running instance and an exception's traceback
do, were freed by whichever thread came to collect garbage next, and the process was seen to abort
there. These copies know their parts and own nothing; the originals are freed where they were made.
They also spare a call into wasmtime for every part of every value.
"""

from collections.abc import Callable
from typing import Any, Self

from wasmtime.component import (
    FuncType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    TupleType,
    ValType,
    VariantType,
)


def plain(kind: ValType) -> ValType:
    """Return a copy of `kind` that owns no native memory."""
    copy = _COPIES.get(type(kind))
    return kind if copy is None else copy(kind)


def _optional(kind: ValType | None) -> ValType | None:
    return None if kind is None else plain(kind)


# Each takes the place of properties of wasmtime-py's class, which ask wasmtime.
class _List(ListType):
    element: Any = None

    def __init__(self, kind: ListType) -> None:
        self.element = plain(kind.element)


class _Record(RecordType):
    fields: Any = ()

    def __init__(self, kind: RecordType) -> None:
        self.fields = [(name, plain(field)) for name, field in kind.fields]


class _Tuple(TupleType):
    elements: Any = ()

    def __init__(self, kind: TupleType) -> None:
        self.elements = [plain(element) for element in kind.elements]


class _Variant(VariantType):
    cases: Any = ()

    def __init__(self, kind: VariantType) -> None:
        self.cases = [(name, _optional(case)) for name, case in kind.cases]


class _Option(OptionType):
    payload: Any = None

    def __init__(self, kind: OptionType) -> None:
        self.payload = plain(kind.payload)


class _Result(ResultType):
    ok: Any = None
    err: Any = None

    def __init__(self, kind: ResultType) -> None:
        self.ok = _optional(kind.ok)
        self.err = _optional(kind.err)


_COPIES: dict[type, Callable[[Any], ValType]] = {
    ListType: _List,
    RecordType: _Record,
    TupleType: _Tuple,
    VariantType: _Variant,
    OptionType: _Option,
    ResultType: _Result,
}


class PlainFuncType:
    """Parameters and result of a function. It closes the original."""

    def __init__(self, kind: FuncType) -> None:
        with kind:
            self.params = [(name, plain(parameter)) for name, parameter in kind.params]
            self.result = _optional(kind.result)

    @classmethod
    def _from_ptr(cls, pointer: Any, owner: Any = None) -> Self:
        """Stand in for FuncType where wasmtime-py calls a host function."""
        return cls(FuncType._from_ptr(pointer, owner))  # noqa: SLF001 - wasmtime-py's own way

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: there is nothing to free."""
