"""The wasmtime engine, its clock, and where wasmtime-py itself needs a mend."""

import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import Self

from wasmtime import Config, Engine
from wasmtime.component import _types

# A deadline is counted in ticks, so it is exact to one of these.
TICK_S = 0.02
# Part of the key of a compiled file: an engine maps only what one with the same settings made.
SETTINGS = f"wasmtime-{version('wasmtime')}-epoch1"


class _PerThreadSet(threading.local):
    """A set of classes that each thread sees for itself."""

    def __init__(self) -> None:
        self._items: set[type] = set()

    def add(self, item: type) -> None:
        self._items.add(item)

    def clear(self) -> None:
        self._items.clear()

    def __iter__(self) -> Iterator[type]:
        return iter(self._items)


# wasmtime-py lowers every result<> and option<> through one process-wide set, which it clears and
# fills without a lock: two plugins polled side by side see each other's classes.
_types.case_test_cache = _PerThreadSet()  # type: ignore[assignment]


def make_engine() -> Engine:
    """Return an engine that interrupts guests at their deadline; close it after its components."""
    config = Config()
    config.epoch_interruption = True
    # Threads of the compiler are only used in the compiling child.
    config.parallel_compilation = True
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
        while not self._stopping.wait(TICK_S):
            self._engine.increment_epoch()
