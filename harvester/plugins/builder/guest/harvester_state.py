"""State of a bundle's Python objects as bytes, with which a replay of a long run begins.

It has the attributes of the plugin's objects, the values of its modules and classes, and those of
`random`. What only exists while code runs, such as a generator, cannot be kept. It runs in the
guest's Python, in the runtime component.
"""

import base64
import enum
import io
import pickle
import random
import re
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

# A replay begins with it, so it has to fit into a record beside the polls.
_MAX_BYTES = 32 * 1024
# Python's own pickler, which is slow, but raises where values are nested too deep: that in C ends
# the guest.
_LONGEST_S = 0.3
_CHECKED_EVERY = 64
# Of a class: what is neither a method nor a descriptor.
_VALUES = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray),
    *(list, dict, set, tuple, deque),
)
_SCALARS = (type(None), bool, int, float, complex, str, bytes)
# Of a module: what a replay has from the load.
_CONSTANTS = (FunctionType, BuiltinFunctionType, type, struct.Struct, re.Pattern)


class _Bounded(io.BytesIO):
    def write(self, content: Any) -> int:
        if self.tell() + len(content) > _MAX_BYTES:
            raise ValueError(f"the state has more than {_MAX_BYTES} bytes")
        return super().write(content)


class _Pickler(pickle._Pickler):  # noqa: SLF001
    """Pickler that names what a module holds and no replay has to bring back."""

    def __init__(self, file: io.BytesIO, constants: Mapping[int, tuple[str, str]]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._constants = constants
        self._until_s = time.monotonic() + _LONGEST_S
        self._count = 0

    def persistent_id(self, value: object) -> tuple[str, str] | None:
        self._count += 1
        if self._count % _CHECKED_EVERY == 0 and time.monotonic() > self._until_s:
            raise ValueError(f"the state takes longer than {_LONGEST_S:g} s")
        if isinstance(value, ModuleType):
            return (value.__name__, "")
        return self._constants.get(id(value))


class _Unpickler(pickle._Unpickler):  # noqa: SLF001
    def persistent_load(self, place: tuple[str, str]) -> object:
        module, name = place
        found = sys.modules[module]
        return getattr(found, name) if name else found


class BundleState:
    """State of the objects and modules of one bundle."""

    def __init__(self, plugins: Mapping[str, Any], modules: Iterable[str]) -> None:
        """`plugins` are wrapped: the author's object is `plugin` of each."""
        self._plugins = plugins
        self._modules = list(modules)
        self._random = random.getstate()
        self._loaded_values = {
            place: value for place, value in self._found()[1].items() if isinstance(value, _SCALARS)
        }

    def kept(self) -> str:
        """Return the state. Raises whatever a value raises that cannot be kept."""
        constants, found = self._found()
        # A changed plugin that is played has other constants.
        values = {
            place: value
            for place, value in found.items()
            if place not in self._loaded_values or self._loaded_values[place] is not value
        }
        now = random.getstate()
        state = (
            {name: wrapped.plugin for name, wrapped in self._plugins.items()},
            values,
            now if now != self._random else None,
        )
        file = _Bounded()
        _Pickler(file, constants).dump(state)
        return base64.b64encode(file.getvalue()).decode()

    def restore(self, content: str) -> None:
        """Bring back what `kept` returned."""
        plugins, values, generator = _Unpickler(io.BytesIO(base64.b64decode(content))).load()
        for name, plugin in plugins.items():
            _add_new_attributes(plugin, self._plugins[name].plugin, set())
            self._plugins[name].plugin = plugin
        for (module, owner, name), value in values.items():
            found = sys.modules[module]
            setattr(getattr(found, owner) if owner else found, name, value)
        if generator is not None:
            random.setstate(generator)

    def _found(self) -> tuple[dict[int, tuple[str, str]], dict[tuple[str, str, str], Any]]:
        constants: dict[int, tuple[str, str]] = {}
        values: dict[tuple[str, str, str], Any] = {}
        for module in self._loaded():
            self._add(module, constants, values)
        return constants, values

    def _loaded(self) -> list[ModuleType]:
        return [sys.modules[name] for name in self._modules if name in sys.modules]

    def _add(
        self,
        module: ModuleType,
        constants: dict[int, tuple[str, str]],
        values: dict[tuple[str, str, str], Any],
    ) -> None:
        for name, value in vars(module).items():
            if name.startswith("__"):
                continue
            if _is_author_class(value, module):
                found = {key: each for key, each in vars(value).items() if _is_value(key, each)}
                values.update({(module.__name__, name, key): found[key] for key in found})
            elif isinstance(value, _CONSTANTS):
                constants[id(value)] = (module.__name__, name)
            elif not isinstance(value, ModuleType):
                values[module.__name__, "", name] = value


def _add_new_attributes(kept: object, fresh: object, seen: set[int]) -> None:
    """Give an object that was kept what a changed plugin's `__init__` sets and it lacks."""
    if type(kept) is not type(fresh) or id(kept) in seen:
        return
    seen.add(id(kept))
    for name, value in getattr(fresh, "__dict__", {}).items():
        if name in vars(kept):
            _add_new_attributes(vars(kept)[name], value, seen)
        else:
            vars(kept)[name] = value


def _is_author_class(value: object, module: ModuleType) -> bool:
    return (
        isinstance(value, type)
        and value.__module__ == module.__name__
        and not issubclass(value, enum.Enum)
    )


def _is_value(name: str, value: object) -> bool:
    return not name.startswith("__") and isinstance(value, _VALUES)


def reason_of(error: BaseException) -> str:
    """Return why a state cannot be kept, with the place that Python's notes name."""
    said = f"{type(error).__name__}: {error}"
    return "; ".join([said, *getattr(error, "__notes__", [])[:3]])[:300]
