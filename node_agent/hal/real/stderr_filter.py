"""Filter for standard error: a C library's line reaches it once, not at each attempt."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


class StderrFilter:
    """Remembers the lines written within `repeats_removed`, and drops those that come again.

    Standard error belongs to the whole process: what other threads write meanwhile is kept.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    @contextmanager
    def repeats_removed(self) -> Iterator[None]:
        saved = os.dup(_STDERR)
        captured = os.memfd_create("stderr")
        try:
            os.dup2(captured, _STDERR)
            try:
                yield
            finally:
                os.dup2(saved, _STDERR)
                self._pass_on(captured)
        finally:
            os.close(captured)
            os.close(saved)

    def _pass_on(self, captured: int) -> None:
        os.lseek(captured, 0, os.SEEK_SET)
        with os.fdopen(os.dup(captured), "rb") as lines:
            for line in lines:
                if line not in self._seen:
                    self._seen.add(line)
                    os.write(_STDERR, line)
