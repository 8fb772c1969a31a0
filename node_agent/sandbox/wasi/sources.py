"""Clocks and randomness of a guest, from the host's Python in place of wasmtime's own functions.

So a recorder sees every value, and a replay gives the same ones again.
"""

import contextlib
import functools
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Linker, LinkerInstance, Record

from node_agent.sandbox.errors import ComponentError

_MONOTONIC, _WALL = "wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"
_RANDOM, _INSECURE = "wasi:random/random", "wasi:random/insecure"
_SEED, _POLL = "wasi:random/insecure-seed", "wasi:io/poll"
_S_NS = 1_000_000_000
_U64_BYTES = 8
# Python's asks for 256 bytes at a time.
_MAX_RANDOM_BYTES = 65_536
_MAX_PATCH = 100
_MOST_BEGINNINGS = 20
_CLOCKS_APART_NS = 500_000


class WasiSources(Protocol):
    """Sources of time and randomness of one instance.

    `monotonic_ns` has to count as wasmtime's clock does, from the start of the store, since
    wasmtime waits by that; unless `waits` is false: then every wait is over at once.
    """

    waits: bool

    def begin(self) -> None: ...
    def monotonic_ns(self) -> int: ...
    def wall_ns(self) -> int: ...
    def random_bytes(self, count: int) -> bytes: ...


class LiveSources:
    """The machine's own clocks and randomness."""

    waits = True

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()

    def begin(self) -> None:
        """Let the monotonic clock begin: wasmtime's begins next."""
        self._began_ns = time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def wall_ns(self) -> int:
        return time.time_ns()

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def begin(store: Store, config: Callable[[], WasiConfig], sources: WasiSources | None) -> None:
    """Let the clocks of a store and of its sources begin together.

    The guest reads one and wasmtime waits by the other. Behind wasmtime's, the sources would
    shorten every wait, and a chip be read before it has measured; ahead, they lengthen it. So they
    begin first, and both again where the machine stalls in between.
    """
    for _ in range(_MOST_BEGINNINGS):
        wasi = config()
        began_ns = time.monotonic_ns()
        if sources is not None:
            sources.begin()
        store.set_wasi(wasi)
        if sources is None or time.monotonic_ns() - began_ns <= _CLOCKS_APART_NS:
            return


def link(linker: Linker, imported: Iterable[str], sources: WasiSources) -> None:
    """Replace wasmtime's functions of the interfaces that are `imported`.

    Raises ComponentError where wasmtime's version of WASI is unknown.
    """
    names = {name.partition("@")[0] for name in imported}
    version = _version()
    linker.allow_shadowing = True
    with linker.root() as root:
        for interface, functions in _functions(sources).items():
            if interface in names:
                with root.add_instance(f"{interface}@{version}") as linked:
                    _add(linked, functions)
    linker.allow_shadowing = False


def _add(linked: LinkerInstance, functions: Mapping[str, Callable[..., Any]]) -> None:
    for name, function in functions.items():
        linked.add_func(name, function)


def _functions(sources: WasiSources) -> dict[str, dict[str, Callable[..., Any]]]:
    def random(_store: object, count: int) -> bytes:
        if count > _MAX_RANDOM_BYTES:
            raise WasmtimeError(f"asks for {count} random bytes; expected {_MAX_RANDOM_BYTES}")
        return sources.random_bytes(count)

    def number(_store: object) -> int:
        return int.from_bytes(sources.random_bytes(_U64_BYTES), "little")

    found: dict[str, dict[str, Callable[..., Any]]] = {
        _MONOTONIC: {"now": lambda _store: sources.monotonic_ns()},
        _WALL: {"now": lambda _store: _moment(sources.wall_ns())},
        _RANDOM: {"get-random-bytes": random, "get-random-u64": number},
        _INSECURE: {"get-insecure-random-bytes": random, "get-insecure-random-u64": number},
        _SEED: {"insecure-seed": lambda store: (number(store), number(store))},
    }
    if not sources.waits:
        found[_POLL] = {"poll": _all_ready, "[method]pollable.block": _release}
    return found


def _moment(wall_ns: int) -> Record:
    seconds, nanoseconds = divmod(wall_ns, _S_NS)
    moment = Record()
    vars(moment).update(seconds=seconds, nanoseconds=nanoseconds)
    return moment


def _all_ready(store: Any, pollables: list[Any]) -> list[int]:
    for pollable in pollables:
        _release(store, pollable)
    return list(range(len(pollables)))


def _release(store: Any, pollable: Any) -> None:
    # What is borrowed has to be given back before the call ends.
    pollable.drop(store)
    pollable.close()


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
