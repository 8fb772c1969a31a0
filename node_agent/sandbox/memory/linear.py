"""Linear memories of running guests, found in the process's map of its memory.

wasmtime reserves 4 GB of addresses for each memory and makes the part accessible that the guest
uses. It only ever grows, so its size is the guest's high-water mark. wasmtime-py offers no way to
ask for it.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_MAPS = Path("/proc/self/maps")
# The inaccessible rest of a reservation of 4 GB, below it only one of another kind.
_LEAST_RESERVED_BYTES = 3 << 30

_starting = threading.Lock()


def memory_of(start: Callable[[], T]) -> tuple[T, int | None]:
    """Return what `start` returns, and the address of the one memory that came to be meanwhile.

    None where that is uncertain.
    """
    with _starting:
        before = set(sizes())
        made = start()
        new = set(sizes()) - before
    return made, new.pop() if len(new) == 1 else None


def sizes() -> dict[int, int]:
    """Return the accessible bytes of every linear memory of this process, by its address."""
    try:
        return parse(_MAPS.read_text().splitlines())
    except OSError:
        return {}


def parse(lines: Iterable[str]) -> dict[int, int]:
    """Return the accessible bytes before each large reservation, by their address."""
    found: dict[int, int] = {}
    begin = end = 0
    for line in lines:
        span, access, _ = line.split(maxsplit=2)
        low, _, high = span.partition("-")
        first, last = int(low, 16), int(high, 16)
        if access.startswith("rw"):
            begin, end = (begin, last) if first == end else (first, last)
        else:
            if access.startswith("---") and first == end and last - first > _LEAST_RESERVED_BYTES:
                found[begin] = end - begin
            begin = end = 0
    return found
