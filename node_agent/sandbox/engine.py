"""wasmtime engine, its epoch ticker, and workarounds for faults of wasmtime-py."""

import ctypes
import enum
import platform
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Self

from wasmtime import Config, Engine, WasmtimeError, _ffi
from wasmtime.component import ListType, _linker, _types

from node_agent.sandbox.values.plain_types import PlainFuncType

# A deadline is counted in ticks, so it is exact to one of these. Each costs some 15 us of CPU.
TICK_S = 0.05
# Part of the key of a compiled file: an engine maps only files made with the same settings.
SETTINGS = f"wasmtime-{version('wasmtime')}-epoch1"
# A list takes 32 bytes an element on its way to the host, and time to become a Python list.
_MAX_LIST = 65_536


class _PerThreadSet(threading.local):
    """A set of classes, separate for each thread."""

    def __init__(self) -> None:
        self._items: set[type] = set()

    def add(self, item: type) -> None:
        self._items.add(item)

    def clear(self) -> None:
        self._items.clear()

    def __iter__(self) -> Iterator[type]:
        return iter(self._items)


_lift_list = ListType.convert_from_c


def _lift_short_list(kind: ListType, value: Any) -> Any:
    """Refuse, as a trap, a list that would block the interpreter for seconds."""
    size = value.of.list.size
    if size <= _MAX_LIST:
        return _lift_list(kind, value)
    _ffi.wasmtime_component_vallist_delete(ctypes.byref(value.of.list))
    raise WasmtimeError(f"passed a list of {size} items; expected {_MAX_LIST} at most")


ListType.convert_from_c = _lift_short_list  # type: ignore[assignment, method-assign]


# wasmtime-py lowers every result<> and option<> through one process-wide set, which it clears and
# fills without a lock: two plugins polled side by side see each other's classes.
_types.case_test_cache = _PerThreadSet()  # type: ignore[assignment]

# Types that a host call looks up live on in the traceback where the call fails.
_linker.FuncType = PlainFuncType  # type: ignore[assignment, attr-defined]


class Target(enum.Enum):
    """Target of the compiler. Bytecode runs on any 64-bit machine, but slower."""

    NATIVE = "native"
    PULLEY = "pulley64"

    @property
    def machine(self) -> str:
        """The machine type that runs it, as in a compiled file's name."""
        return platform.machine() if self is Target.NATIVE else self.value


def make_engine(target: Target = Target.NATIVE, *, portable: bool = False) -> Engine:
    """Return an engine that interrupts guests at their deadline; close it after its components.

    A `portable` one compiles for every machine of this kind, not for this very processor.
    """
    config = Config()
    config.epoch_interruption = True
    # Threads of the compiler are only used in the compiling child.
    config.parallel_compilation = True
    if target is Target.PULLEY:
        config.target = target.value
    elif portable:
        config.target = f"{target.machine}-unknown-linux-gnu"
    return Engine(config)


class Ticker:
    """Advances the engine's epoch; a daemon thread while its context is open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="epoch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic() + TICK_S
        while not self._stopping.wait(max(0.0, due_s - time.monotonic())):
            self._engine.increment_epoch()
            # A tick that was a little late is no reason for the next one to be. Where all of the
            # process had no processor, its guests had none, and get the time that they missed.
            due_s = max(due_s + TICK_S, time.monotonic())
