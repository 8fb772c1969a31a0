"""Progress line of a backup or a restore on a terminal."""

import sys
import time
from typing import TextIO

_INTERVAL_S = 0.2
_BYTES_PER_MB = 1e6


class Progress:
    """One line that is written over itself; nothing where `stream` is no terminal."""

    def __init__(self, total_bytes: int, stream: TextIO | None = None) -> None:
        self._total_bytes = max(1, total_bytes)
        self._stream = stream or sys.stderr
        self._is_shown = self._stream.isatty()
        self._done_bytes = 0
        self._shown_s = 0.0
        self._width = 0

    def show(self, doing: str, of_it: float, part_bytes: int) -> None:
        """Show that `of_it`, 0 to 1, of a part is done."""
        now_s = time.monotonic()
        if not self._is_shown or now_s - self._shown_s < _INTERVAL_S:
            return
        self._shown_s = now_s
        done = self._done_bytes + of_it * part_bytes
        percent = min(100.0, 100.0 * done / self._total_bytes)
        self._write(f"{percent:3.0f} % of {self._total_bytes / _BYTES_PER_MB:.1f} MB: {doing}")

    def finish_part(self, part_bytes: int) -> None:
        self._done_bytes += part_bytes

    def clear(self) -> None:
        """Remove the line."""
        if self._width:
            self._write("")
            self._stream.write("\r")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r{text:<{self._width}}")
        self._stream.flush()
        self._width = len(text)
