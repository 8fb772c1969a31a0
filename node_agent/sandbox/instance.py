"""Running instance of a component: its store with limits, host functions, and calls into it.

After a fault an instance cannot be called again: close it and start a new one.
"""

import contextlib
import logging
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import msgspec
from wasmtime import Store, StoreContext, WasiConfig, WasmtimeError
from wasmtime.component import Func, Instance, Linker, Variant

from node_agent.sandbox import faults
from node_agent.sandbox.bundles import bundle
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.engine import TICK_S
from node_agent.sandbox.errors import (
    ComponentError,
    GuestStopError,
    PluginError,
    PluginTimeoutError,
)
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.memory import heap, linear
from node_agent.sandbox.values.result_size import BoundedType
from node_agent.sandbox.wasi import linking as wasi_linking
from node_agent.sandbox.wasi.output import LineBuffer, sink
from node_agent.sandbox.wasi.sources import LiveSources, WasiSources
from node_agent.sandbox.wasi.waits import ASLEEP, Waits

logger = logging.getLogger(__name__)

# A guest's own traceback is rarely longer; its last line is the sentence that people read.
_TRACEBACK_LINES = 40
_MB = 1 << 20
# What a component of this contract needs: Python's has one memory, 2 tables of some 5,700 elements
# together and 11 to 20 instances. wasmtime bounds each memory and table by itself, so that only a
# bound on their number bounds the sum.
_MEMORIES = 1
_TABLES = 4
_INSTANCES = 64
_TABLE_ELEMENTS = 16_384
# wasmtime keeps 8 bytes a function and up to 16 a reference.
_TABLES_BYTES = _TABLES * _TABLE_ELEMENTS * 16
# Timeout of waiting for wasmtime's writer, which normally finishes within milliseconds.
_RELEASE_S = 1.0

# Before each cause, where there are several.
_NUMBER = re.compile(r"^\d+: ")
# Cause of the end of a bundle that went around the guest's own check.
_NO_HOST = "called the host while it was loaded, or while its state was taken"
HostFunction = Callable[..., Any]
Imports = Mapping[str, Mapping[str, HostFunction]]


class Err(msgspec.Struct, frozen=True):
    """The `err` of a host function whose WIT type is a result. It never raises instead."""

    message: str


class PluginInstance:
    """A started guest. Only one thread may use it at a time."""

    def __init__(
        self,
        loaded: LoadedPlugin,
        imports: Imports,
        limits: Limits,
        on_line: Callable[[str], None],
        *,
        sources: WasiSources | None = None,
    ) -> None:
        """Start the guest; a bundle is loaded, too.

        Its time and randomness are of `sources`, by default the machine's. Raises ComponentError
        where an import is missing from `imports`, PluginError where a bundle fails.
        """
        self._limits = limits
        self._sources = sources or LiveSources()
        self._waits = Waits(self._sources)
        self._full_names = loaded.full_names
        self._on_line = on_line
        # Of the running call: its standard error, from where a traceback begins.
        self._traceback: deque[str] = deque(maxlen=_TRACEBACK_LINES)
        self._host_calls = 0
        # While a bundle is loaded, and while its state is taken, there is no host.
        self._has_host = True
        self._output = LineBuffer(on_line)
        self._errors = LineBuffer(self._take_error_line)
        self._found: dict[tuple[str, str], Func] = {}
        self._store = self._make_store(loaded)
        self._linker = Linker(loaded.engine)
        try:
            self._instance, self._memory = linear.memory_of(lambda: self._link(loaded, imports))
            if isinstance(loaded, LoadedBundle):
                self._call(bundle.LOADER, "load", deadline_s=limits.load_deadline_s)
        except PluginError:
            self.close()
            raise
        except WasmtimeError as e:
            self.close()
            refused = faults.refused_start(_cause(e), limits.memory_mb)
            _release(e)
            raise ComponentError(refused) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, interface: str, function: str, *arguments: object) -> Any:
        """Call an exported function and return its value, as wasmtime-py maps it.

        Raises PluginTimeoutError after the deadline and PluginError for any other fault; the
        instance is spent then.
        """
        return self._call(interface, function, *arguments, deadline_s=self._limits.deadline_s)

    def _call(self, interface: str, function: str, *arguments: object, deadline_s: float) -> Any:
        found = self._find(interface, function)
        self._traceback.clear()
        self._has_host = interface != bundle.LOADER
        self._arm(deadline_s)
        try:
            value = found(self._store, *arguments)
            found.post_return(self._store)
            self._say_printed_traceback()
        except (WasmtimeError, TypeError, ValueError) as e:
            fault = self._fault(e, deadline_s)
            fault.traceback = self.traceback
            _release(e)
            raise fault from None
        finally:
            self._output.flush()
        return value

    @property
    def traceback(self) -> str:
        """The last lines of the guest's standard error: after a fault, its own traceback."""
        self._errors.flush()
        return "\n".join(faults.own_lines(self._traceback))

    @property
    def host_calls(self) -> int:
        """The number of host calls of the last call."""
        return self._host_calls

    @property
    def memory(self) -> int | None:
        """The address of the guest's memory, as in `linear.sizes`; None where it is not known."""
        return self._memory

    def close(self) -> None:
        """Free the guest. Twice is fine."""
        with contextlib.suppress(ValueError):
            self._linker.close()
        with contextlib.suppress(ValueError):
            self._store.close()
        for released in self._released:
            if not released.wait(_RELEASE_S):
                logger.warning("a closed plugin's output was still in use after %.0f s", _RELEASE_S)
        heap.give_back()

    def _make_store(self, loaded: LoadedPlugin) -> Store:
        store = Store(loaded.engine)
        store.set_limits(
            memory_size=self._limits.memory_mb * _MB - _TABLES_BYTES,
            memories=_MEMORIES,
            tables=_TABLES,
            table_elements=_TABLE_ELEMENTS,
            instances=_INSTANCES,
        )
        store.set_wasi(self._wasi())
        return store

    def _wasi(self) -> WasiConfig:
        wasi = WasiConfig()
        wasi.argv = ["plugin"]
        wasi.stdout_custom, out_released = sink(self._output.write)
        wasi.stderr_custom, err_released = sink(self._errors.write)
        self._released = (out_released, err_released)
        return wasi

    def _link(self, loaded: LoadedPlugin, imports: Imports) -> Instance:
        wasi_linking.link(self._linker, loaded.wasi, self._sources, self._waits)
        with self._linker.root() as root:
            for interface in loaded.imports:
                functions = _offered(imports, interface, loaded.imports[interface])
                with root.add_instance(loaded.full_names[interface]) as linked:
                    for name, tagged in loaded.imports[interface].items():
                        function = self._counted(functions[name])
                        linked.add_func(name, _adapt(function, tagged=tagged))
            further = loaded.further_imports() if isinstance(loaded, LoadedBundle) else {}
            for interface, functions in further.items():
                with root.add_instance(loaded.full_names[interface]) as linked:
                    for name, function in functions.items():
                        linked.add_func(name, _adapt(function, tagged=False))
        self._arm(self._limits.deadline_s)
        return self._linker.instantiate(self._store, loaded.component)

    def _counted(self, function: HostFunction) -> HostFunction:
        """Wrap a host function so that the guest is cut off where it calls too often."""

        def called(*arguments: Any) -> Any:
            if not self._has_host:
                raise GuestStopError(_NO_HOST)
            self._host_calls += 1
            if self._host_calls > self._limits.host_calls:
                # It must return to the guest, which then meets its deadline at once.
                self._store.set_epoch_deadline(0)
            return function(*arguments)

        return called

    def _take_error_line(self, line: str) -> None:
        """Pass a line on as if it were printed, until a traceback begins."""
        if self._traceback or faults.begins_fault(line):
            self._traceback.append(line)
        else:
            self._on_line(line)

    def _say_printed_traceback(self) -> None:
        """Pass on the traceback of an exception that the plugin caught and printed."""
        self._errors.flush()
        while self._traceback:
            self._on_line(self._traceback.popleft())

    def _arm(self, deadline_s: float) -> None:
        self._host_calls = 0
        self._waits.arm(deadline_s)
        # The running tick is already part spent, so one more gives at least the deadline.
        self._store.set_epoch_deadline(math.ceil(deadline_s / TICK_S) + 1)

    def _find(self, interface: str, function: str) -> Func:
        found = self._found.get((interface, function))
        if found is None:
            found = self._found[interface, function] = self._look_up(interface, function)
        return found

    def _look_up(self, interface: str, function: str) -> Func:
        full_name = self._full_names.get(interface, interface)
        exported = self._instance.get_export_index(self._store, full_name)
        index = exported and self._instance.get_export_index(self._store, function, exported)
        found = index and self._instance.get_func(self._store, index)
        if not found:
            raise ComponentError(f"the plugin exports no {interface}.{function}")
        bounded = BoundedType(found.type(self._store), self._limits)
        found.type = lambda _store: bounded  # type: ignore[method-assign, assignment, return-value]
        return found

    def _fault(self, error: Exception, deadline_s: float) -> PluginError:
        self._errors.flush()
        cause = _cause(error)
        if self._host_calls > self._limits.host_calls:
            return PluginError(f"made more than {self._limits.host_calls} host calls in one poll")
        if cause in ("wasm trap: interrupt", ASLEEP):
            asleep = ", asleep" if cause == ASLEEP else ""
            return PluginTimeoutError(f"took longer than its deadline of {deadline_s:g} s{asleep}")
        return PluginError(faults.sentence(self._traceback, cause, self._limits.memory_mb))


def _cause(error: Exception) -> str:
    """Return the innermost cause in wasmtime's message, which it prints last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _NUMBER.sub("", lines[-1], count=1) if lines else type(error).__name__


def _release(error: Exception) -> None:
    """Free what an error holds: the compiled component and the frames of the call.

    It is part of a reference cycle, so a garbage collection on any thread would do it else.
    """
    error.with_traceback(None)
    if isinstance(error, WasmtimeError):
        error.close()


def _offered(imports: Imports, interface: str, wanted: Iterable[str]) -> Mapping[str, HostFunction]:
    """Return the host's functions of an interface. Raises ComponentError where one is missing."""
    functions = imports.get(interface)
    if functions is None:
        raise ComponentError(f"the plugin imports {interface}, which no host offers")
    unknown = [name for name in wanted if name not in functions]
    if unknown:
        raise ComponentError(f"the plugin imports {interface}.{unknown[0]}, which no host offers")
    return functions


def _adapt(function: HostFunction, *, tagged: bool) -> HostFunction:
    """Wrap a host function so that its value fits wasmtime-py's mapping of results."""

    def called(_store: StoreContext, *arguments: Any) -> Any:
        try:
            value = function(*arguments)
        except GuestStopError as e:
            # wasmtime-py makes a trap of its own errors only.
            raise WasmtimeError(str(e)) from None
        failed = isinstance(value, Err)
        payload = value.message if isinstance(value, Err) else value
        if tagged:
            return Variant("err" if failed else "ok", payload)
        return payload

    return called
