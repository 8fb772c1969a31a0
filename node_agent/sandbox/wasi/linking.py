"""Linking of WASI: wasmtime's own functions, with ours in place of some of them."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Linker

from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.wasi import sources as wasi_sources
from node_agent.sandbox.wasi.sources import WasiSources
from node_agent.sandbox.wasi.waits import POLL, Waits

_MONOTONIC = "wasi:clocks/monotonic-clock"
_MAX_PATCH = 100


def link(linker: Linker, imported: Iterable[str], sources: WasiSources, waits: Waits) -> None:
    """Link the interfaces of WASI that are `imported`: clocks, randomness and waits are ours.

    Raises ComponentError where wasmtime's version of WASI is unknown.
    """
    linker.add_wasip2()
    names = {name.partition("@")[0] for name in imported}
    version = _version()
    linker.allow_shadowing = True
    with linker.root() as root:
        for interface, functions in _merged(sources, waits).items():
            # Of an interface that uses the resource, too.
            if interface == POLL or interface in names:
                with root.add_instance(f"{interface}@{version}") as linked:
                    if interface == POLL:
                        waits.add_resource(linked)
                    for name, function in functions.items():
                        linked.add_func(name, function)
    linker.allow_shadowing = False


def _merged(sources: WasiSources, waits: Waits) -> dict[str, Mapping[str, Callable[..., Any]]]:
    found: dict[str, Mapping[str, Callable[..., Any]]] = {**wasi_sources.functions(sources)}
    for interface, functions in waits.functions().items():
        found[interface] = {**found.get(interface, {}), **functions}
    return found


@functools.cache
def _version() -> str:
    """Return the version under which wasmtime defines WASI's interfaces; only that can be replaced.

    Where a function is defined already, it cannot be defined again.
    """
    with Engine() as engine, contextlib.closing(Linker(engine)) as linker:
        linker.add_wasip2()
        with linker.root() as root:
            for patch in range(_MAX_PATCH):
                version = f"0.2.{patch}"
                with root.add_instance(f"{_MONOTONIC}@{version}") as linked:
                    try:
                        linked.add_func("now", lambda _store: 0)
                    except WasmtimeError:
                        return version
    raise ComponentError("this version of wasmtime has no WASI 0.2 whose clocks can be recorded")
