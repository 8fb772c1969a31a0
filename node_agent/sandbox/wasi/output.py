"""Output of a guest: callbacks for wasmtime, and joining of fragments into lines."""

import threading
import weakref
from collections.abc import Callable

_MAX_LINE_BYTES = 4096


class Sink:
    """Callback for wasmtime; an event tells when wasmtime has released it.

    wasmtime writes from a thread of its own, also for a moment after the store is closed. Such a
    thread that finds the interpreter gone aborts the process, so a store is closed only when
    `released` is set.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def __call__(self, fragment: bytes) -> None:
        self._write(fragment)


def sink(write: Callable[[bytes], None]) -> tuple[Sink, threading.Event]:
    """Return a callback, for wasmtime alone to hold, and the event of its release."""
    made = Sink(write)
    released = threading.Event()
    weakref.finalize(made, released.set)
    return made, released


class LineBuffer:
    """Joins fragments into lines for `emit`. Called from wasmtime's threads; never raises."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._partial = bytearray()
        self._order = threading.Lock()

    def write(self, fragment: bytes) -> None:
        with self._order:
            self._partial += fragment
            *lines, rest = bytes(self._partial).split(b"\n")
            while len(rest) > _MAX_LINE_BYTES:
                lines.append(rest[:_MAX_LINE_BYTES])
                rest = rest[_MAX_LINE_BYTES:]
            self._partial = bytearray(rest)
        for line in lines:
            self._emit_line(line)

    def flush(self) -> None:
        """Emit the rest that has no line end."""
        with self._order:
            rest, self._partial = bytes(self._partial), bytearray()
        if rest:
            self._emit_line(rest)

    def _emit_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._emit(text if text.isprintable() else "".join(map(_shown, text)))


def _shown(character: str) -> str:
    """Spell what would move the cursor or hide a part of the line where a person reads the log."""
    if character.isprintable() or character == "\t":
        return character
    return ascii(character)[1:-1]
