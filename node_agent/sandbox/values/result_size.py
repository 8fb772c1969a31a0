"""Size limit of returned values, checked before they are converted to Python objects."""

import ctypes
from collections.abc import Iterable
from typing import Any

from wasmtime import _ffi
from wasmtime.component import FuncType

from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.values.plain_types import PlainFuncType

# Size of one number, or of the head of a string or list, in a guest.
_ITEM_BYTES = 8

_STRING = _ffi.WASMTIME_COMPONENT_STRING.value
_LIST = _ffi.WASMTIME_COMPONENT_LIST.value
_TUPLE = _ffi.WASMTIME_COMPONENT_TUPLE.value
_RECORD = _ffi.WASMTIME_COMPONENT_RECORD.value
_RESULT = _ffi.WASMTIME_COMPONENT_RESULT.value
_OPTION = _ffi.WASMTIME_COMPONENT_OPTION.value


class BoundedType:
    """Function type for wasmtime-py whose result is refused where it is too large."""

    def __init__(self, kind: FuncType, limits: Limits) -> None:
        plain = PlainFuncType(kind)
        self.params = plain.params
        self.result = None if plain.result is None else _BoundedResult(plain.result, limits)


class _BoundedResult:
    def __init__(self, kind: Any, limits: Limits) -> None:
        self._kind = kind
        self._limits = limits

    def convert_from_c(self, value: Any) -> Any:
        try:
            refused = _refusal(value, self._limits)
            if refused:
                raise PluginError(refused)
            return self._kind.convert_from_c(value)
        finally:
            # wasmtime-py frees what a result holds, but not the block that it was held in.
            _ffi.wasmtime_component_val_delete(ctypes.byref(value))


def _refusal(value: Any, limits: Limits) -> str:
    """Return the error for a value that is too large, else an empty string."""
    top = value
    if top.kind == _RESULT and top.of.result.val:
        top = top.of.result.val.contents
    if top.kind == _LIST and top.of.list.size > limits.readings:
        return f"returned {top.of.list.size} readings; expected {limits.readings} at most"
    if _exceeds(value, limits.result_bytes):
        return f"returned more than {limits.result_bytes} bytes"
    return ""


def _exceeds(value: Any, limit_bytes: int) -> bool:
    """Return whether a value is larger than `limit_bytes`. Stops as soon as that is clear."""
    left = limit_bytes
    waiting = [value]
    while waiting:
        found = waiting.pop()
        left -= _own_bytes(found)
        if left < 0:
            return True
        waiting.extend(_parts(found))
    return False


def _own_bytes(value: Any) -> int:
    """Return the size of a value without the content of its parts."""
    if value.kind == _STRING:
        return _ITEM_BYTES + int(value.of.string.size)
    if value.kind in (_LIST, _TUPLE):
        return _ITEM_BYTES * int(value.of.list.size)
    return _ITEM_BYTES


def _parts(value: Any) -> Iterable[Any]:
    if value.kind in (_LIST, _TUPLE):
        return [value.of.list.data[n] for n in range(value.of.list.size)]
    if value.kind == _RECORD:
        return [value.of.record.data[n].val for n in range(value.of.record.size)]
    pointer = None
    if value.kind == _RESULT:
        pointer = value.of.result.val
    elif value.kind == _OPTION:
        pointer = value.of.option
    return [pointer.contents] if pointer else []
