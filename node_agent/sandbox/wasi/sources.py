"""Clocks and randomness of a guest, from the host's Python in place of wasmtime's own functions.

So a recorder sees every value, and a replay gives the same ones again.
"""

import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

from wasmtime import WasmtimeError
from wasmtime.component import Record

_MONOTONIC, _WALL = "wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock"
_RANDOM, _INSECURE = "wasi:random/random", "wasi:random/insecure"
_SEED = "wasi:random/insecure-seed"
_S_NS = 1_000_000_000
_U64_BYTES = 8
# Python's asks for 256 bytes at a time.
_MAX_RANDOM_BYTES = 65_536


class WasiSources(Protocol):
    """Sources of time and randomness of one instance.

    A guest that waits does so by `elapsed_ns`, which is what `monotonic_ns` gives to it; unless
    `waits` is false: then every wait is over at once, or never where `is_asleep`.
    """

    waits: bool

    @property
    def is_asleep(self) -> bool: ...

    def elapsed_ns(self) -> int: ...
    def monotonic_ns(self) -> int: ...
    def wall_ns(self) -> int: ...
    def random_bytes(self, count: int) -> bytes: ...


class LiveSources:
    """The machine's own clocks and randomness."""

    waits = True
    is_asleep = False

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()

    def elapsed_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def monotonic_ns(self) -> int:
        return self.elapsed_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def functions(sources: WasiSources) -> dict[str, dict[str, Callable[..., Any]]]:
    """Return the functions of WASI that tell the time or give randomness."""

    def random(_store: object, count: int) -> bytes:
        if count > _MAX_RANDOM_BYTES:
            raise WasmtimeError(f"asks for {count} random bytes; expected {_MAX_RANDOM_BYTES}")
        return sources.random_bytes(count)

    def number(_store: object) -> int:
        return int.from_bytes(sources.random_bytes(_U64_BYTES), "little")

    return {
        _MONOTONIC: {"now": lambda _store: sources.monotonic_ns()},
        _WALL: {"now": lambda _store: _moment(sources.wall_ns())},
        _RANDOM: {"get-random-bytes": random, "get-random-u64": number},
        _INSECURE: {"get-insecure-random-bytes": random, "get-insecure-random-u64": number},
        _SEED: {"insecure-seed": lambda store: (number(store), number(store))},
    }


def _moment(wall_ns: int) -> Record:
    seconds, nanoseconds = divmod(wall_ns, _S_NS)
    moment = Record()
    vars(moment).update(seconds=seconds, nanoseconds=nanoseconds)
    return moment
